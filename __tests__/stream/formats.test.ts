import { setTimeout as sleep } from 'node:timers/promises';
import { Channel, comment, event, type Format, type SseOptions } from '../../lib';
import { aborted, Gate } from '../support/gate';
import { releaseAll, serve, type TestServer } from '../support/serve';
import { Wire } from '../support/wire';

const ALL: readonly Format[] = ['event-stream', 'json-lines', 'json'];

afterEach(releaseAll);

type Route = Parameters<TestServer['app']['get']>[1];

function started(route: unknown, options: SseOptions = {}): Promise<TestServer> {
  return serve((app) => void app.all('/', route as Route), { formats: ALL, ...options });
}

const ask = (server: TestServer, accept: string | undefined, init: RequestInit = {}) =>
  fetch(server.url('/'), {
    ...init,
    headers: accept === undefined ? { ...init.headers } : { ...init.headers, Accept: accept },
  });

async function bodyOf(server: TestServer, accept: string): Promise<string> {
  return (await ask(server, accept)).text();
}

/** A route that yields once, then waits, and opens `cleaned` in its `finally`. */
function waiting(cleaned: Gate) {
  return async function* (_req: unknown, res: { sse: { signal: AbortSignal } }) {
    try {
      yield 1;
      await aborted(res.sse.signal);
    } finally {
      cleaned.open();
    }
  };
}

/** The text that arrived, and whether the response was complete. */
async function read(response: Response, onText?: () => void): Promise<{ text: string; complete: boolean }> {
  let text = '';
  try {
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk as Uint8Array).toString();
      onText?.();
    }
    return { text, complete: true };
  } catch {
    return { text, complete: false };
  }
}

describe('one route in three formats', () => {
  async function* values() {
    yield 'a "string"\nof two lines';
    yield { n: 1 };
    yield event('price', [2], { id: 7, comment: 'of an event, only its data' });
    yield comment('nothing to see');
    yield null;
    return 'the end';
  }

  it.each([
    [
      'json-lines',
      'application/jsonl',
      'application/jsonl',
      '"a \\"string\\"\\nof two lines"\n{"n":1}\n[2]\n\nnull\n"the end"\n',
    ],
    ['json-lines', 'application/x-ndjson', 'application/x-ndjson', undefined],
    [
      'json',
      'application/json',
      'application/json',
      '["a \\"string\\"\\nof two lines",{"n":1},[2]\n,null,"the end"]',
    ],
    [
      'event-stream',
      'text/event-stream',
      'text/event-stream; charset=utf-8',
      'data: a "string"\ndata: of two lines\n\ndata: {"n":1}\n\n: of an event, only its data\nevent: price\nid: 7\ndata: [2]\n\n' +
        ': nothing to see\n\ndata: null\n\nevent: end\nid: ~end\ndata: the end\n\n',
    ],
  ])('sends %s to Accept: %s', async (_format, accept, type, body) => {
    const server = await started(values);
    const response = await ask(server, accept);

    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe(type);
    expect(response.headers.get('vary')).toBe('Accept');
    expect(response.headers.get('cache-control')).toContain('no-store');
    const text = await response.text();
    if (body !== undefined) expect(text).toBe(body);
  });

  it('sends an empty array, no lines, and only the end of a generator without values', async () => {
    const server = await started(async function* () {});

    expect(await bodyOf(server, 'application/json')).toBe('[]');
    expect(await bodyOf(server, 'application/jsonl')).toBe('');
    expect(await bodyOf(server, 'text/event-stream')).toBe('event: end\nid: ~end\ndata: null\n\n');
  });

  it('sends a JSON text of several lines as one line', async () => {
    const server = await started(
      async function* () {
        yield { a: 'b\nc' };
      },
      { serialize: (data) => JSON.stringify(data, undefined, 2) },
    );

    expect(await bodyOf(server, 'application/jsonl')).toBe('{   "a": "b\\nc" }\n');
    expect(JSON.parse(await bodyOf(server, 'application/json'))).toEqual([{ a: 'b\nc' }]);
  });

  it('sends the exact bytes of HTTP, each value as soon as it is ready', async () => {
    const next = new Gate();
    const server = await started(async function* () {
      yield 1;
      await next.promise;
      yield 2;
    });
    const wire = await Wire.open(
      server.port,
      'GET / HTTP/1.1\r\nHost: test\r\nAccept: application/json\r\nConnection: close\r\n\r\n',
    );
    await wire.until('[1');
    next.open();
    await wire.ended();

    expect(wire.body).toBe('2\r\n[1\r\n3\r\n,2]\r\n0\r\n\r\n');
  });
});

describe('the Accept header decides:', () => {
  const JSON_FIRST: readonly Format[] = ['json', 'event-stream', 'json-lines'];

  it.each<[string | undefined, readonly Format[], string]>([
    ['*/*', ALL, 'text/event-stream; charset=utf-8'],
    ['*/*', JSON_FIRST, 'application/json'],
    ['', JSON_FIRST, 'application/json'],
    ['application/*', ALL, 'application/jsonl'],
    ['application/*', JSON_FIRST, 'application/json'],
    ['text/*, application/json;q=0.9', ALL, 'text/event-stream; charset=utf-8'],
    ['text/event-stream;q=0.5, application/json', ALL, 'application/json'],
    ['application/json;q=0.1, */*;q=0.2', JSON_FIRST, 'text/event-stream; charset=utf-8'],
    ['Application/X-NDJSON', ALL, 'application/x-ndjson'],
    ['application/x-ndjson, application/jsonl;q=0.3', ALL, 'application/x-ndjson'],
    ['application/json, text/event-stream', ALL, 'text/event-stream; charset=utf-8'],
    ['application/json, text/event-stream', JSON_FIRST, 'application/json'],
    ['text/event-stream;q=0, */*', ALL, 'application/jsonl'],
    ['application/json;q=nonsense', ALL, 'application/json'],
  ])('%s of %j gives %s', async (accept, formats, type) => {
    const server = await started(
      async function* () {
        yield 1;
      },
      { formats },
    );
    const response = await ask(server, accept);
    await response.text();

    expect(response.headers.get('content-type')).toBe(type);
  });

  it.each<[string, readonly Format[], string]>([
    ['text/html', ALL, 'text/event-stream, application/jsonl, application/x-ndjson, application/json'],
    ['text/event-stream', ['json'], 'application/json'],
    ['application/json;q=0', ['json'], 'application/json'],
  ])('%s of %j is a 406, and nothing runs', async (accept, formats, types) => {
    let ran = false;
    const server = await started(
      async function* () {
        ran = true;
        yield 1;
      },
      { formats },
    );
    const response = await ask(server, accept);
    await response.text();

    expect(response.status).toBe(406);
    expect(ran).toBe(false);
    expect(server.errors).toEqual([
      expect.objectContaining({
        code: 'ERR_SSE_NOT_ACCEPTABLE',
        message: expect.stringContaining(`Expected Accept to allow ${types}, got '${accept}' (string).`),
      }),
    ]);
  });

  it('without the option, a fetch client receives an event stream whatever it accepts', async () => {
    const server = await started(
      async function* () {
        yield 1;
      },
      { formats: undefined },
    );
    const response = await ask(server, 'application/json');

    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('vary')).toBe(null);
    expect(await response.text()).toBe('data: 1\n\n');
  });

  it('a HEAD is answered with the type of the GET', async () => {
    const server = await started(async function* () {
      yield 1;
    });
    const response = await ask(server, 'application/json', { method: 'HEAD' });

    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
  });
});

describe.each(['application/json', 'application/jsonl'])('a response as %s', (accept) => {
  it('is a real status if the generator throws before its first value', async () => {
    const server = await started(async function* () {
      throw Object.assign(new Error('no'), { status: 402 });
      // biome-ignore lint/correctness/noUnreachable: makes it a generator of numbers
      yield 1;
    });

    expect((await ask(server, accept)).status).toBe(402);
  });

  it('is cut if the generator throws after it, with what onError returns before', async () => {
    const server = await started(
      async function* () {
        yield 1;
        await sleep(5);
        throw new Error('half');
      },
      { onError: () => ({ error: 'sorry' }) },
    );
    const { text, complete } = await read(await ask(server, accept));

    expect(text).toBe(accept === 'application/json' ? '[1,{"error":"sorry"}' : '1\n{"error":"sorry"}\n');
    expect(complete).toBe(false);
  });

  it('is cut by sse.close() after its grace period', async () => {
    const cleaned = new Gate();
    const server = await started(waiting(cleaned));
    const reading = read(await ask(server, accept), () =>
      server.sse.close({ spreadMs: 0, graceMs: 10, drainMs: 0 }),
    );

    expect(await reading).toEqual({ text: accept === 'application/json' ? '[1' : '1\n', complete: false });
    await cleaned.promise;
  });

  it('closes the generator when the client leaves', async () => {
    const cleaned = new Gate();
    const server = await started(waiting(cleaned));
    const controller = new AbortController();
    await ask(server, accept, { signal: controller.signal });
    controller.abort();

    await cleaned.promise;
  });

  it('is opened and kept alive by white space, and is still valid', async () => {
    const blanks = new Gate();
    const server = await started(
      async function* () {
        await blanks.promise;
        yield 1;
      },
      { commitAfterMs: 0, keepAliveMs: 16 },
    );
    const response = await ask(server, accept);
    const reader = response.body?.getReader();
    let text = '';
    while (text.length < 3) text += Buffer.from((await reader?.read())?.value ?? []).toString();
    expect(text).toMatch(/^\n+$/);
    blanks.open();
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
      text += Buffer.from(part.value).toString();
    }

    expect(text.trim()).toBe(accept === 'application/json' ? '[1]' : '1');
  });

  it("is that of a fetch client, also with client: 'eventsource' and for one that accepts event streams too", async () => {
    const server = await started(
      async function* () {
        yield 1;
        return 'the end';
      },
      { formats: ['json', 'json-lines', 'event-stream'], client: 'eventsource' },
    );

    expect(await bodyOf(server, `${accept}, text/event-stream;q=0.9`)).toBe(
      accept === 'application/json' ? '[1,"the end"]' : '1\n"the end"\n',
    );
  });

  it('is not answered with a 204 after the end of an event stream', async () => {
    const server = await started(async function* () {
      yield 1;
    });
    const response = await ask(server, accept, { headers: { 'Last-Event-ID': '~end' } });

    expect(response.status).toBe(200);
    expect(JSON.stringify(await response.text())).toContain('1');
  });

  it('gives no retryMs, and refuses with 503 when full', async () => {
    const opened = new Gate();
    const server = await started(
      async function* (_req: unknown, res: { sse: { signal: AbortSignal } }) {
        yield 1;
        opened.open();
        await aborted(res.sse.signal);
      },
      { maxStreams: 1, retryMs: 10 },
    );
    const controller = new AbortController();
    const first = await ask(server, accept, { signal: controller.signal });
    const part = await first.body?.getReader().read();
    await opened.promise;

    expect(Buffer.from(part?.value ?? []).toString()).toBe(accept === 'application/json' ? '[1' : '1\n');
    expect((await ask(server, accept)).status).toBe(503);
    controller.abort();
  });

  it('sends the events of a channel as they were serialized, and its end', async () => {
    const channel = new Channel<unknown>({
      replay: true,
      serialize: (data) => JSON.stringify({ wrapped: data }),
      parse: () => new Map([['cannot', 'be sent']]),
    });
    await channel.publish(1);
    await channel.publish(event('b', [2], { comment: 'data: no data' }));
    await channel.publish('text');
    const server = await started(() => channel);
    const response = await ask(server, accept);
    await channel.end('bye');

    expect(await read(response)).toEqual({
      text:
        accept === 'application/json'
          ? '[{"wrapped":1},{"wrapped":[2]},"text","bye"]'
          : '{"wrapped":1}\n{"wrapped":[2]}\n"text"\n"bye"\n',
      complete: true,
    });
  });

  it('is cut when its channel is closed', async () => {
    const channel = new Channel<number>({ replay: true });
    await channel.publish(1);
    const server = await started(() => channel);
    const response = await ask(server, accept);
    await channel.close();

    expect((await read(response)).complete).toBe(false);
  });

  it('waits for a client that does not read', async () => {
    const cleaned = new Gate();
    let yielded = 0;
    const server = await started(async function* () {
      try {
        for (;;) {
          yielded++;
          yield 'x'.repeat(10_000);
        }
      } finally {
        cleaned.open();
      }
    });
    const wire = await Wire.open(server.port, `GET / HTTP/1.1\r\nHost: test\r\nAccept: ${accept}\r\n\r\n`);
    wire.socket.pause();
    await server.full();
    const paused = yielded;
    await sleep(50);

    expect(yielded).toBe(paused);
    wire.socket.destroy();
    await cleaned.promise;
  });
});

describe('formats', () => {
  it.each<[unknown]>([[[]], ['json'], [['xml']], [['json', 'json']], [{}]])(
    '%j is refused',
    async (formats) => {
      await expect(started(async () => [1], { formats: formats as readonly Format[] })).rejects.toThrow(
        expect.objectContaining({
          code: 'ERR_SSE_INVALID_OPTION',
          message: expect.stringContaining(
            "Expected formats to be a list of 'event-stream', 'json-lines', 'json', each at most once, got ",
          ),
        }),
      );
    },
  );

  it('override a Content-Type in headers for another format only', async () => {
    const server = await started(
      async function* () {
        yield 1;
      },
      { headers: { 'Content-Type': 'text/event-stream', Vary: 'Origin' } },
    );
    const json = await ask(server, 'application/json');
    const events = await ask(server, 'text/event-stream');

    expect(json.headers.get('content-type')).toBe('application/json');
    expect(json.headers.get('vary')).toBe('Origin, Accept');
    expect(events.headers.get('content-type')).toBe('text/event-stream');
  });
});
