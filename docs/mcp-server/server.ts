/** A server of the Model Context Protocol. Run it with `npx tsx docs/mcp-server/server.ts`. */
import { setTimeout } from 'node:timers/promises';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';
import express, { type Request } from 'express';
import { sse } from 'express-yield';
import { z } from 'zod';
import { SessionTransport } from './transport.ts';

const { PORT = 3000 } = process.env;

const sessions = new Map<string, SessionTransport>();

const app = express();
app.use(express.json());
app.use(sse({ client: 'fetch' })); // one line for MCP: its GET is not an EventSource

app.post('/mcp', async (req, res) => {
  const session = isInitializeRequest(req.body) ? await openSession() : sessionOf(req);
  res.set('Mcp-Session-Id', session.sessionId);
  const answer = await session.receive(req.body);
  return answer ?? res.status(202).end(); // the channel is streamed; a notification has no answer
});

app.get('/mcp', (req, res) => sessionOf(req).resume(res.sse.lastEventId));

app.delete('/mcp', async (req, res) => {
  await sessionOf(req).close();
  res.status(204).end();
});

function sessionOf(req: Request): SessionTransport {
  const session = sessions.get(req.get('Mcp-Session-Id') ?? '');
  if (session === undefined) throw Object.assign(new Error('There is no such session.'), { status: 404 });
  return session;
}

async function openSession(): Promise<SessionTransport> {
  const session = new SessionTransport();
  sessions.set(session.sessionId, session);
  const mcp = mcpServer();
  mcp.server.onclose = () => sessions.delete(session.sessionId);
  await mcp.connect(session);
  return session;
}

/** The tools, as for any other transport. */
function mcpServer(): McpServer {
  const mcp = new McpServer({ name: 'countdown', version: '1.0.0' }, { capabilities: { logging: {} } });
  const inputSchema = { from: z.number().int().max(100) };
  mcp.registerTool('countdown', { description: 'Counts down.', inputSchema }, async ({ from }, extra) => {
    const progressToken = extra._meta?.progressToken;
    for (let n = from; n > 0; n--) {
      const params = {
        progressToken: progressToken ?? 0,
        progress: from - n + 1,
        total: from,
        message: `${n}`,
      };
      if (progressToken !== undefined)
        await extra.sendNotification({ method: 'notifications/progress', params });
      await setTimeout(100, undefined, { signal: extra.signal });
    }
    await mcp.sendLoggingMessage({ level: 'info', data: `counted from ${from}` }); // on the GET stream
    return { content: [{ type: 'text', text: 'Lift-off' }] };
  });
  return mcp;
}

export const server = app.listen(PORT);
