import type { RequestId } from '@modelcontextprotocol/sdk/types.js';
// The recipe has the types of the built package.
import type { EventLog } from 'express-yield';
import { SessionTransport } from '../../../docs/mcp-server/transport';
import { redisLogs } from '../../../lib/redis';
import { noStreams, postJson, type Started, startRecipe, stopRecipe } from '../../support/recipe';
import { CLIENTS, describeWithRedis } from '../../support/redis';
import { load } from '../../system/clients/support/load';

let recipe: Started<typeof import('../../../docs/mcp-server/server')>;

beforeAll(async () => {
  recipe = await startRecipe('mcp-server/server');
});

afterEach(noStreams);

afterAll(() => stopRecipe(recipe));

async function connect() {
  const [{ Client }, { StreamableHTTPClientTransport }] = await Promise.all([
    load('@modelcontextprotocol/sdk/client/index.js'),
    load('@modelcontextprotocol/sdk/client/streamableHttp.js'),
  ]);
  const client = new Client({ name: 'tests', version: '1.0.0' });
  const reconnectionOptions = {
    initialReconnectionDelay: 1,
    maxReconnectionDelay: 1,
    reconnectionDelayGrowFactor: 1,
    maxRetries: 3,
  };
  const transport = new StreamableHTTPClientTransport(new URL(`${recipe.url}/mcp`), { reconnectionOptions });
  await client.connect(transport);
  return { client, transport };
}

const COUNTDOWN = { name: 'countdown', arguments: { from: 3 } };
const RESULT = { content: [{ type: 'text', text: 'Lift-off' }] };

describe('docs/mcp-server', () => {
  it('lists its tools, and reports the progress of a call', async () => {
    const { client, transport } = await connect();
    const messages: unknown[] = [];

    const { tools } = await client.listTools();
    const onprogress = ({ message }: { message?: string | undefined }) => messages.push(message);
    const result = await client.callTool(COUNTDOWN, undefined, { onprogress });

    expect(tools.map(({ name }) => name)).toEqual(['countdown']);
    expect([result, messages]).toEqual([RESULT, ['3', '2', '1']]);
    await transport.terminateSession();
    await client.close();
  });

  it('continues a call after the connection was lost', async () => {
    const { client, transport } = await connect();
    const messages: unknown[] = [];

    const result = await client.callTool(COUNTDOWN, undefined, {
      onprogress: ({ message }) => {
        messages.push(message);
        if (message === '2') recipe.server.closeAllConnections();
      },
    });

    expect([result, messages]).toEqual([RESULT, ['3', '2', '1']]);
    await transport.terminateSession();
    await client.close();
  });

  it('ends the call when the client cancels it', async () => {
    const { client, transport } = await connect();
    const cancelling = new AbortController();

    const result = client.callTool({ name: 'countdown', arguments: { from: 100 } }, undefined, {
      signal: cancelling.signal,
      onprogress: () => cancelling.abort('The user cancelled it.'),
    });

    await expect(result).rejects.toThrow('The user cancelled it.');
    await transport.terminateSession();
    await client.close();
  });

  it('responds with 400 to the id of an event that is not of this session, and replays nothing for it', async () => {
    const [mine, other] = [await connect(), await connect()];
    const tokens: string[] = [];
    await other.client.callTool(COUNTDOWN, undefined, { onresumptiontoken: (token) => tokens.push(token) });
    const resume = (sessionId = '', lastEventId = '') =>
      fetch(`${recipe.url}/mcp`, {
        headers: {
          Accept: 'text/event-stream',
          'Mcp-Session-Id': sessionId,
          'Last-Event-ID': lastEventId,
        },
      });

    const responses = [
      await resume(mine.transport.sessionId, tokens[0]),
      await resume(mine.transport.sessionId, 'made-up'),
      await resume(other.transport.sessionId, tokens[0]),
    ];

    expect(responses.map(({ status }) => status)).toEqual([400, 400, 200]);
    const texts = await Promise.all(responses.map((response) => response.text()));
    expect(texts.map((text) => text.includes('Lift-off'))).toEqual([false, false, true]);
    for (const { client, transport } of [mine, other]) {
      await transport.terminateSession();
      await client.close();
    }
  });

  it('responds with 404 for an unknown session', async () => {
    const response = await postJson(`${recipe.url}/mcp`, { jsonrpc: '2.0', id: 1, method: 'ping' });

    expect(response.status).toBe(404);
    await response.text();
  });
});

const [[, connectRedis]] = CLIENTS as [(typeof CLIENTS)[number]];

describeWithRedis('the sessions of docs/mcp-server with logs on Redis', (server) => {
  it('give no two messages an equal id, and resume the stream of an id and no other', async () => {
    const user = await connectRedis(server.port);
    const logs = redisLogs(user.client);
    const sessions = [1, 2].map(
      () => new SessionTransport((key) => logs(key, { uniqueIds: true }) as unknown as EventLog),
    );
    await Promise.all(sessions.map((session) => session.start()));
    const idsOf = async (session: SessionTransport, id: RequestId) => {
      const answer = await session.receive({ jsonrpc: '2.0', id, method: 'ping' });
      const read = firstIds(answer, 21);
      const messages = Array.from({ length: 20 }, (_, progress) => ({
        jsonrpc: '2.0' as const,
        method: 'notifications/progress',
        params: { progressToken: id, progress },
      }));
      await Promise.all(messages.map((message) => session.send(message, { relatedRequestId: id })));
      return { session, answer, ids: await read };
    };

    const requests = sessions.flatMap((session) => [1, '1', 2].map((id) => idsOf(session, id)));
    const streams = await Promise.all(requests);

    const ids = streams.flatMap((stream) => stream.ids);
    expect(new Set(ids).size).toBe(6 * 21);
    // Without the suffixes, some would be equal.
    expect(new Set(ids.map((id) => id.split('.')[0])).size).toBeLessThan(6 * 21);
    for (const { session, answer, ids } of streams) {
      expect(await session.resume(ids[0] as string)).toBe(answer);
      const other = sessions.find((each) => each !== session);
      await expect(other?.resume(ids[0] as string)).rejects.toMatchObject({ status: 400 });
    }
    await Promise.all(sessions.map((session) => session.close()));
    await logs.close();
    await user.end();
  });
});

/** The ids of the first events of a channel. */
async function firstIds(channel: AsyncIterable<object> | undefined, count: number): Promise<string[]> {
  const ids: string[] = [];
  for await (const event of channel ?? []) {
    if ('id' in event && ids.push(String(event.id)) === count) break;
  }
  return ids;
}
