import { setImmediate } from 'node:timers/promises';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';
import express from 'express';
import { SessionTransport } from '../../../docs/mcp-server/transport';
import { Gate } from '../../support/gate';
import { releaseAll, serve, type TestServer } from '../../support/serve';
import { statusOf } from './support/chat';
import { clientMatrix, describeFetchClient, type FetchClient, HALVES, TEXT } from './support/fetch-client';
import { load } from './support/load';

const matrix = clientMatrix();

interface Progress {
  readonly message?: string | undefined;
}

interface CallOptions {
  readonly onprogress?: (progress: Progress) => void;
  readonly onToken?: (token: string) => void;
  readonly timeout?: number;
}

interface Content {
  readonly type: string;
  readonly text?: string;
}

/** What the tests need of a client, in the interface of either major version. */
interface McpClient {
  call(options: CallOptions): Promise<string>;
  close(): Promise<void>;
  /** The messages of notifications that belong to no request. */
  readonly logged: string[];
}

const INFO = { name: 'tests', version: '1.0.0' };

/** Reconnects immediately. */
const RECONNECTION = {
  initialReconnectionDelay: 1,
  maxReconnectionDelay: 1,
  reconnectionDelayGrowFactor: 1,
  maxRetries: 3,
};

const CALL = { name: 'answer', arguments: {} };

function textOf(content: unknown): string {
  return (content as Content[]).map(({ text = '' }) => text).join('');
}

/** The official client, version 1. */
async function connect1(base: string): Promise<McpClient> {
  const [{ Client }, { StreamableHTTPClientTransport }] = await Promise.all([
    load('@modelcontextprotocol/sdk/client/index.js'),
    load('@modelcontextprotocol/sdk/client/streamableHttp.js'),
  ]);
  const { LoggingMessageNotificationSchema } = await load('@modelcontextprotocol/sdk/types.js');
  const client = new Client(INFO);
  const logged: string[] = [];
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    logged.push(String(params.data));
  });
  const url = new URL(`${base}/mcp`);
  await client.connect(new StreamableHTTPClientTransport(url, { reconnectionOptions: RECONNECTION }));
  return {
    logged,
    call: async ({ onToken, ...options }) => {
      const { content } = await client.callTool(CALL, undefined, { ...options, onresumptiontoken: onToken });
      return textOf(content);
    },
    close: () => client.close(),
  };
}

/** The official client, version 2. */
async function connect2(base: string): Promise<McpClient> {
  const { Client, StreamableHTTPClientTransport } = await load('@modelcontextprotocol/client');
  const client = new Client(INFO);
  const logged: string[] = [];
  client.setNotificationHandler('notifications/message', ({ params }) => {
    logged.push(String(params.data));
  });
  const url = new URL(`${base}/mcp`);
  await client.connect(new StreamableHTTPClientTransport(url, { reconnectionOptions: RECONNECTION }));
  return {
    logged,
    call: async ({ onToken, ...options }) => {
      const { content } = await client.callTool(CALL, { ...options, onresumptiontoken: onToken });
      return textOf(content);
    },
    close: () => client.close(),
  };
}

const VERSIONS = [
  { name: '@modelcontextprotocol/sdk', connect: connect1 },
  { name: '@modelcontextprotocol/client', connect: connect2 },
] as const;

/** A server without sessions that answers each call of a tool with the events of one generator. */
function withoutResumption({ name, connect }: (typeof VERSIONS)[number]): FetchClient {
  return {
    name: `${name} callTool()`,
    method: 'post',
    path: '/mcp',
    answer({ body: { id, params } }) {
      const { progressToken } = params._meta;
      const progress = (n: number, message: string) => ({
        jsonrpc: '2.0',
        method: 'notifications/progress',
        params: { progressToken, progress: n, total: 2, message },
      });
      return {
        first: [progress(1, HALVES[0])],
        rest: [progress(2, TEXT)],
        last: { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: TEXT }] } },
      };
    },
    addRoutes(app) {
      app.post('/mcp', express.json(), ({ body: { id, method, params } }, res, next) => {
        if (method === 'tools/call') return next();
        if (method !== 'initialize') return res.status(202).end();
        const { protocolVersion } = params;
        const result = { protocolVersion, capabilities: { tools: {} }, serverInfo: INFO };
        res.json({ jsonrpc: '2.0', id, result });
      });
      app.get('/mcp', (_req, res) => res.status(405).end());
    },
    async read(base, { signal, onText }) {
      const client = await connect(base);
      // An aborted call only sends a notification; closing the client ends its requests.
      signal.addEventListener('abort', () => void client.close());
      try {
        // Without an id to resume from, the SDK waits for the answer of a lost connection until its time-out.
        return await client.call({ timeout: 1_000, onprogress: ({ message = '' }) => onText(message) });
      } finally {
        await client.close();
      }
    },
    statusOf,
    retries: false,
  };
}

for (const version of VERSIONS) describeFetchClient(withoutResumption(version), matrix);

/** The tool of a session waits here for its test. */
interface Step {
  readonly reached: Gate;
  readonly proceed: Gate;
}

/** Sessions of an MCP server on the transport of the recipe. */
class McpSessions {
  readonly step: Step = { reached: new Gate(), proceed: new Gate() };
  readonly sessions = new Map<string, SessionTransport>();
  /** The last event ids that the `GET` requests have sent. */
  readonly resumedFrom: string[] = [];
  calls = 0;
  server!: TestServer;

  static async serve(): Promise<McpSessions> {
    const mcp = new McpSessions();
    mcp.server = await serve(
      (app) => {
        app.use(express.json());
        app.post('/mcp', async (req, res) => {
          const session = isInitializeRequest(req.body) ? await mcp.#open() : mcp.#sessionOf(req);
          res.set('Mcp-Session-Id', session.sessionId);
          return (await session.receive(req.body)) ?? res.status(202).end();
        });
        app.get('/mcp', (req, res) => {
          mcp.resumedFrom.push(res.sse.lastEventId);
          return mcp.#sessionOf(req).resume(res.sse.lastEventId);
        });
      },
      { client: 'fetch' },
    );
    return mcp;
  }

  /** Cuts the connections of every client. */
  cut(): void {
    this.server.server.closeAllConnections();
  }

  async #open(): Promise<SessionTransport> {
    const session = new SessionTransport();
    this.sessions.set(session.sessionId, session);
    await this.#mcpServer().connect(session);
    return session;
  }

  #sessionOf(req: express.Request): SessionTransport {
    const session = this.sessions.get(req.get('Mcp-Session-Id') ?? '');
    if (session === undefined) throw Object.assign(new Error('There is no such session.'), { status: 404 });
    return session;
  }

  #mcpServer(): McpServer {
    const mcp = new McpServer(INFO, { capabilities: { logging: {} } });
    mcp.registerTool('answer', { description: 'Answers.' }, async (extra) => {
      this.calls++;
      const progressToken = extra._meta?.progressToken ?? 0;
      const progress = (n: number, message: string) =>
        extra.sendNotification({
          method: 'notifications/progress',
          params: { progressToken, progress: n, total: 2, message },
        });
      await mcp.sendLoggingMessage({ level: 'info', data: 'started' });
      await progress(1, HALVES[0]);
      this.step.reached.open();
      await this.step.proceed.promise;
      await progress(2, TEXT);
      return { content: [{ type: 'text', text: TEXT }] };
    });
    return mcp;
  }
}

describe.each(VERSIONS)('$name with the sessions of the recipe', ({ connect }) => {
  let client: McpClient | undefined;

  afterEach(async () => {
    await client?.close();
    await releaseAll();
  });

  it('receives the progress of a call and its result', async () => {
    const mcp = await McpSessions.serve();
    client = await connect(mcp.server.url(''));
    const messages: unknown[] = [];
    mcp.step.proceed.open();

    const result = await client.call({ onprogress: ({ message }) => messages.push(message) });

    expect([result, messages]).toEqual([TEXT, [HALVES[0], TEXT]]);
  });

  it('receives the messages that belong to no request on its GET stream', async () => {
    const mcp = await McpSessions.serve();
    client = await connect(mcp.server.url(''));
    mcp.step.proceed.open();

    await client.call({});
    while (client.logged.length === 0) await setImmediate();

    expect(client.logged).toEqual(['started']);
  });

  it('resumes a call after a lost connection: nothing is missed, nothing is repeated, the tool runs once', async () => {
    const mcp = await McpSessions.serve();
    client = await connect(mcp.server.url(''));
    const messages: unknown[] = [];
    const tokens: string[] = [];
    const received = new Gate();
    const result = client.call({
      onprogress: ({ message }) => {
        messages.push(message);
        received.open();
      },
      onToken: (token) => tokens.push(token),
    });
    await received.promise;

    mcp.cut();
    await mcp.step.reached.promise;
    mcp.step.proceed.open();

    expect(await result).toBe(TEXT);
    expect([messages, mcp.calls]).toEqual([[HALVES[0], TEXT], 1]);
    expect(mcp.resumedFrom).toContainEqual(expect.stringMatching(/.-2$/));
    expect([tokens.length, tokens.filter((token) => token.startsWith('~'))]).toEqual([4, []]);
  });

  it('resumes a call after a connection that is lost before the first message', async () => {
    const mcp = await McpSessions.serve();
    client = await connect(mcp.server.url(''));
    const tokens: string[] = [];
    const primed = new Gate();
    const onToken = (token: string) => {
      tokens.push(token);
      primed.open();
    };
    const result = client.call({ onToken });
    await primed.promise;

    mcp.cut();
    mcp.step.proceed.open();

    expect(await result).toBe(TEXT);
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  it('never receives `~end` as a token to resume from', async () => {
    const mcp = await McpSessions.serve();
    client = await connect(mcp.server.url(''));
    const tokens: string[] = [];
    mcp.step.proceed.open();

    await client.call({ onToken: (token) => tokens.push(token) });

    expect(tokens.filter((token) => token.startsWith('~'))).toEqual([]);
    expect(tokens.length).toBeGreaterThan(1);
  });

  it('gives each of its streams other ids', async () => {
    const mcp = await McpSessions.serve();
    client = await connect(mcp.server.url(''));
    const tokens: string[] = [];
    mcp.step.proceed.open();

    await client.call({ onToken: (token) => tokens.push(token) });
    await client.call({ onToken: (token) => tokens.push(token) });

    expect(new Set(tokens).size).toBe(tokens.length);
  });
});
