import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Channel, createSse } from '../../lib';
import { THROWN } from '../support/thrown';

const sse = createSse({ commitAfterMs: false });

let server: Server;
let thrown: unknown;
let warnings: string[];
/** Resolves with the next warning. */
let warned: Promise<void>;

beforeAll(async () => {
  const before = sse(async function* () {
    yield* [];
    throw thrown;
  });
  const after = sse(async function* () {
    yield 1;
    throw thrown;
  });
  const handler = sse(() => {
    throw thrown;
  });
  const routes = new Map([
    ['/before', before],
    ['/after', after],
    ['/handler', handler],
  ]);
  server = createServer((req, res) => routes.get(req.url ?? '')?.(req, res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterAll(() => {
  server.close();
});

beforeEach(() => {
  warnings = [];
  warned = new Promise((resolve) => {
    jest.spyOn(process, 'emitWarning').mockImplementation((warning) => {
      warnings.push(String(warning));
      resolve();
    });
  });
});

afterEach(() => {
  jest.restoreAllMocks();
  expect(sse.size).toBe(0);
});

/** Throws `value` in a route without an error handler. @returns the response, after its warning */
async function respond(path: string, value: unknown): Promise<{ status: number; body: string }> {
  thrown = value;
  const { port } = server.address() as AddressInfo;
  // As an EventSource, whose response ends: that of a fetch client is cut, which only newer versions of fetch notice.
  const headers = { Accept: 'text/event-stream', Connection: 'close' };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
  const body = await response.text();
  await warned;
  return { status: response.status, body };
}

describe('a thrown value', () => {
  it.each(THROWN)('before the first value is a 500 and a warning: %s', async (_name, value, shown) => {
    expect(await respond('/before', value)).toEqual({ status: 500, body: '' });
    expect(warnings).toEqual([expect.stringContaining(shown)]);
  });

  it.each(THROWN)('of the handler itself is a 500 and a warning: %s', async (_name, value, shown) => {
    expect(await respond('/handler', value)).toEqual({ status: 500, body: '' });
    expect(warnings).toEqual([expect.stringContaining(shown)]);
  });

  it.each(THROWN)(
    'after the first value ends the stream, with a warning: %s',
    async (_name, value, shown) => {
      expect(await respond('/after', value)).toEqual({ status: 200, body: 'data: 1\n\n' });
      expect(warnings).toEqual([expect.stringContaining(shown)]);
    },
  );

  it.each(THROWN)('of a run fails its channel: %s', async (_name, value) => {
    const channel = Channel.from(async function* () {
      yield* [];
      throw value;
    });

    const failure = await channel
      .subscribe()
      .next()
      .then(
        () => undefined,
        (error: unknown) => ({ error }),
      );

    expect(Object.is(failure?.error, value)).toBe(true);
  });
});
