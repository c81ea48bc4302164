import { Readable } from 'node:stream';
import { statusOf } from './support/chat';
import {
  clientMatrix,
  describeFetchClient,
  type FetchClient,
  HALVES,
  type Reading,
} from './support/fetch-client';
import { load } from './support/load';

const matrix = clientMatrix();

/** An answer of one `data:` line for each half. */
const LINES = {
  path: '/lines',
  answer: () => ({ first: [HALVES[0]], rest: [HALVES[1]] }),
  statusOf,
} as const satisfies Partial<FetchClient>;

type Body = ReadableStream<Uint8Array> | null;

/** Reads the `data:` lines of a body, as an application without a parser does. */
async function readLines(body: Body, onText: Reading['onText']): Promise<string> {
  if (body === null) throw new Error('Expected a body.');
  let text = '';
  let line = '';
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    const lines = (line + piece).split('\n');
    line = lines.pop() ?? '';
    for (const each of lines) if (each.startsWith('data: ')) text += each.slice('data: '.length);
    onText(text);
  }
  return text;
}

function checked<Any extends Pick<Response, 'ok' | 'status'>>(response: Any): Any {
  if (response.ok) return response;
  throw Object.assign(new Error(`The server answered ${response.status}.`), { status: response.status });
}

const JSON_BODY = {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: '{"prompt":"Hi"}',
} as const;

const CLIENTS: readonly FetchClient[] = [
  {
    ...LINES,
    name: 'fetch, POST',
    method: 'post',
    read: async (base, { signal, onText }) =>
      readLines(checked(await fetch(`${base}/lines`, { ...JSON_BODY, signal })).body, onText),
    retries: false,
  },
  {
    ...LINES,
    name: 'fetch, GET',
    method: 'get',
    read: async (base, { signal, onText }) =>
      readLines(checked(await fetch(`${base}/lines`, { signal })).body, onText),
    retries: false,
  },
  {
    ...LINES,
    // One line in the route: with this Accept, a GET is taken for an EventSource.
    options: { client: 'fetch' },
    name: 'fetch, GET with `Accept: text/event-stream`',
    method: 'get',
    read: async (base, { signal, onText }) => {
      const headers = { Accept: 'text/event-stream' };
      return readLines(checked(await fetch(`${base}/lines`, { headers, signal })).body, onText);
    },
    retries: false,
  },
  {
    ...LINES,
    name: 'ky',
    method: 'post',
    async read(base, { signal, maxRetries, onText }) {
      const { default: ky } = await load('ky');
      const { body } = await ky.post(`${base}/lines`, {
        json: { prompt: 'Hi' },
        retry: { limit: maxRetries, methods: ['post'] },
        signal,
      });
      return readLines(body, onText);
    },
    retries: true,
  },
  {
    ...LINES,
    name: 'ofetch',
    method: 'post',
    async read(base, { signal, maxRetries, onText }) {
      const { ofetch } = await load('ofetch');
      const body = await ofetch(`${base}/lines`, {
        method: 'POST',
        body: { prompt: 'Hi' },
        responseType: 'stream',
        retry: maxRetries,
        signal,
      });
      return readLines(body, onText);
    },
    retries: true,
  },
  ...(['undici', 'undici8'] as const).flatMap((name) => undiciClients(name)),
];

/** undici 8 needs Node 22.19. */
function undiciClients(name: 'undici' | 'undici8'): FetchClient[] {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (name === 'undici8' && (major < 22 || (major === 22 && minor < 19))) return [];
  return [
    {
      ...LINES,
      name: `${name} fetch()`,
      method: 'post',
      async read(base, { signal, onText }) {
        const undici = await load(name);
        const response = checked(await undici.fetch(`${base}/lines`, { ...JSON_BODY, signal }));
        return readLines(response.body as Body, onText);
      },
      retries: false,
    },
    {
      ...LINES,
      name: `${name} request()`,
      method: 'post',
      async read(base, { signal, onText }) {
        const undici = await load(name);
        const { statusCode, body } = await undici.request(`${base}/lines`, { ...JSON_BODY, signal });
        if (statusCode !== 200) await body.dump();
        checked({ ok: statusCode === 200, status: statusCode });
        return readLines(Readable.toWeb(body) as Body, onText);
      },
      retries: false,
    },
  ];
}

for (const client of CLIENTS) describeFetchClient(client, matrix);
