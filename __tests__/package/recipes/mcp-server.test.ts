import { noStreams, postJson, type Started, startRecipe, stopRecipe } from '../../support/recipe';
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

  it('responds with 404 for an unknown session', async () => {
    const response = await postJson(`${recipe.url}/mcp`, { jsonrpc: '2.0', id: 1, method: 'ping' });

    expect(response.status).toBe(404);
    await response.text();
  });
});
