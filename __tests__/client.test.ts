import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Channel, type Events, event } from '../lib';
import { describeInChromium } from './support/chromium';
import { compile, SAME } from './support/compiler';
import { releaseAll, serve } from './support/serve';

const ROOT = join(__dirname, '..');

interface Price {
  readonly symbol: string;
  readonly cents: number;
}

interface Halt {
  readonly reason: 'news' | 'limits';
  readonly at: Date;
}

type Market = Events<{ price: Price; halt: Halt; note: string }>;

const PAGE = `
  import { Channel, comment, event, type Events } from 'express-yield';
  import { parse, typedEventSource, type EventsOf, type Json, type Parsed, type TypedEventSource } from 'express-yield/client';
  interface Price { readonly symbol: string; readonly cents: number }
  interface Halt { readonly reason: 'news' | 'limits'; readonly at: Date }
  declare const prices: Channel<Price>;
  declare const market: Channel<Events<{ price: Price; halt: Halt; note: string }>>;
  const events = typedEventSource<typeof market>('/market');
`;

const REPORT = `${PAGE}
  async function* report(req: { url: string }) {
    yield comment('begun');
    yield event('progress', { percent: 1 });
    yield { row: 1 };
    if (req.url === '/') return { rows: 5 };
    return event('done', 7);
  }
  const reported = typedEventSource<typeof report>('/report');
`;

/** Shows all received events in a <pre> when the channel has ended. */
const SHOWING = `${PAGE}
  const received: unknown[] = [];
  events.addEventListener('open', ({ type }) => { received.push(type); });
  events.addEventListener('gap', ({ data }) => { received.push(['gap', parse(data).lastEventId]); });
  events.addEventListener('price', ({ data }) => { received.push(['price', parse(data).cents + 1]); });
  events.addEventListener('halt', ({ data }) => { received.push(['halt', new Date(parse(data).at).getUTCFullYear()]); });
  events.addEventListener('note', ({ data, lastEventId }) => { received.push(['note', data, lastEventId !== '']); });
  events.addEventListener('end', ({ data }) => {
    events.close();
    received.push(['end', parse(data), events instanceof EventSource]);
    document.body.append(Object.assign(document.createElement('pre'), { textContent: JSON.stringify(received) }));
  });
`;

const GOOD = {
  'a listener receives data with the type of its event': `${PAGE}${SAME}
    events.addEventListener('price', ({ data, lastEventId }) => {
      same<[typeof data, typeof lastEventId], [Json<Price>, string]>();
      const price = parse(data);
      same<typeof price, Price>();
    });`,
  'a string is not JSON': `${PAGE}${SAME}
    events.addEventListener('note', ({ data }) => same<typeof data, string>());`,
  'a Date is a string after JSON': `${PAGE}${SAME}
    events.addEventListener('halt', ({ data }) => {
      const { at, reason } = parse(data);
      same<[typeof at, typeof reason], [string, 'news' | 'limits']>();
    });
    same<Parsed<{ at: Date[]; id?: number | null }>, { at: string[]; id?: number | null }>();`,
  'gap, end, open, error and message are known event types': `${PAGE}${SAME}
    events.addEventListener('gap', ({ data }) => same<string | null, ReturnType<typeof oldest>>());
    const oldest = () => parse('' as unknown as Json<{ oldest: string | null }>).oldest;
    events.addEventListener('gap', ({ data }) => parse(data).oldest?.length);
    events.addEventListener('end', ({ data }) => {
      const value = parse(data);
      same<typeof value, unknown>();
    });
    events.addEventListener('open', ({ type }) => type);
    events.addEventListener('error', ({ type }) => type);
    events.addEventListener('message', ({ data }) => same<typeof data, string>());
    events.onopen = events.onerror = null;`,
  'a listener may be an object, may have options and may be removed': `${PAGE}
    const listener = { handleEvent: ({ data }: { data: Json<Price> }) => parse(data).cents };
    events.addEventListener('price', listener, { once: true, signal: AbortSignal.timeout(5) });
    events.removeEventListener('price', listener);
    events.addEventListener('price', ({ data }: MessageEvent<string>) => data.length);`,
  'a native EventSource can be assigned to TypedEventSource': `${PAGE}
    const native: TypedEventSource<typeof market> = new EventSource('/market', { withCredentials: true });`,
  'a channel of data has the same data for every event type': `${PAGE}${SAME}
    const all = typedEventSource<typeof prices>(new URL('http://localhost/prices'));
    all.onmessage = ({ data }) => same<typeof data, Json<Price>>();
    all.addEventListener('trade', ({ data }) => same<typeof data, Json<Price>>());
    all.addEventListener('gap', ({ data }) => parse(data).lastEventId.length);`,
  'the yielded and returned values of a generator are known': `${REPORT}${SAME}
    reported.addEventListener('progress', ({ data }) => same<typeof data, Json<{ percent: number }>>());
    reported.onmessage = ({ data }) => same<typeof data, Json<{ row: number }>>();
    reported.addEventListener('end', ({ data }) => same<typeof data, Json<{ rows: number }>>());
    reported.addEventListener('done', ({ data }) => same<typeof data, Json<number>>());`,
  'a handler that returns a channel, a filtered channel or a generator is known': `${REPORT}${SAME}
    const handlers = { channel: () => market, filtered: async () => market.filter(() => true), generator: () => report({ url: '/' }) };
    typedEventSource<typeof handlers.channel>('/').addEventListener('price', ({ data }) => parse(data).cents);
    typedEventSource<typeof handlers.filtered>('/').addEventListener('price', ({ data }) => parse(data).cents);
    typedEventSource<typeof handlers.generator>('/').addEventListener('done', ({ data }) => parse(data).toFixed());
    same<EventsOf<Events<{ price: Price }>>, Events<{ price: Price }>>();`,
  'the data of end is null for a generator that returns nothing': `${PAGE}${SAME}
    async function* silent() { yield 1; }
    typedEventSource<typeof silent>('/').addEventListener('end', ({ data }) => same<typeof data, Json<null>>());`,
  'the data of end may be null for a generator that may return nothing': `${PAGE}${SAME}
    async function* some(req: { url: string }) { yield 1; if (req.url === '/') return { rows: 5 }; }
    typedEventSource<typeof some>('/').addEventListener('end', ({ data }) => {
      same<typeof data, Json<{ rows: number } | null>>();
      parse(data)?.rows.toFixed();
    });`,
  'an event of the type error may also be the connection’s own': `${PAGE}${SAME}
    async function* failing() { yield event('error', { code: 5 }); }
    typedEventSource<typeof failing>('/').addEventListener('error', (received) => {
      if ('data' in received) same<typeof received.data, Json<{ code: number }>>();
    });`,
  'unknown values may be events of any type, with any data': `${PAGE}${SAME}
    for (const all of [typedEventSource<Channel>('/'), typedEventSource<AsyncIterable<any>>('/')]) {
      all.addEventListener('trade', ({ data }) => same<typeof data, Json<unknown>>());
      all.onmessage = ({ data }) => same<typeof data, Json<unknown>>();
    }`,
  'the page of the test in Chromium': SHOWING,
};

const BAD: Readonly<Record<string, readonly [code: string, message: string]>> = {
  'a misspelt event type': [
    `${PAGE} events.addEventListener('prise', () => {});`,
    `Argument of type '"prise"' is not assignable to parameter of type '"`,
  ],
  'the use of data that was not parsed': [
    `${PAGE} events.addEventListener('price', ({ data }) => data.symbol);`,
    "Property 'symbol' does not exist on type 'Json<Price>'",
  ],
  'a property that the data does not have': [
    `${PAGE} events.addEventListener('price', ({ data }) => parse(data).name);`,
    "Property 'name' does not exist on type '{ readonly symbol: string; readonly cents: number; }'",
  ],
  'a string for parse()': [
    `${PAGE} events.addEventListener('note', ({ data }) => { parse(data); });`,
    "Argument of type 'string' is not assignable to parameter of type 'Json<",
  ],
  'a listener for other data': [
    `${PAGE} events.addEventListener('price', ({ data }: { data: Json<Halt> }) => parse(data).at);`,
    "not assignable to parameter of type 'Listener<TypedMessageEvent<Json<Price>>>'",
  ],
  'the event type gap for a generator': [
    `${REPORT} reported.addEventListener('gap', () => {});`,
    `Argument of type '"gap"' is not assignable to parameter of type '"`,
  ],
  'a misspelt event type of an iterable that may return anything': [
    `${PAGE} typedEventSource<AsyncIterable<Price, any>>('/').addEventListener('prise', () => {});`,
    `Argument of type '"prise"' is not assignable to parameter of type '"`,
  ],
  'a misspelt option': [
    `${PAGE} typedEventSource<typeof market>('/', { withCredential: true });`,
    "Did you mean to write 'withCredentials'?",
  ],
};

describe('the types of a page', () => {
  let errors: ReadonlyMap<string, string>;

  beforeAll(() => {
    const code = {
      ...GOOD,
      ...Object.fromEntries(Object.entries(BAD).map(([name, [text]]) => [name, text])),
    };
    errors = compile(code, ['lib.dom.d.ts']);
  });

  it.each(Object.keys(GOOD))('compile: %s', (name) => {
    expect(errors.get(name)).toBe('');
  });

  it.each(Object.keys(BAD))('refuse %s', (name) => {
    expect(errors.get(name)).toContain(BAD[name]?.[1]);
  });

  it('compile without the types of the DOM, as in a program for Node', () => {
    const code = `${PAGE} events.addEventListener('price', ({ data }) => parse(data).cents); events.close();`;

    expect(compile({ code }).get('code')).toBe('');
  });
});

/** The project of a page, with the package in its node_modules. */
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'express-yield-client-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules/express-yield'));
});

afterAll(() => rmSync(folder, { recursive: true }));

/** Bundles a module for a browser; `dist` must have been built. */
function bundle(code: string): string {
  const esbuild = join(ROOT, 'node_modules/esbuild/bin/esbuild');
  const options = ['--bundle', '--minify', '--format=esm', '--loader=ts'];
  return execFileSync(esbuild, options, { cwd: folder, input: code, encoding: 'utf8' }).trim();
}

describe('the bundle of a page', () => {
  it('has no code for the types', () => {
    const code = `import type { TypedEventSource } from 'express-yield/client';
      const events: TypedEventSource<unknown> = new EventSource('/market');
      events.close();`;

    expect(bundle(code)).toBe(bundle(`const events = new EventSource('/market'); events.close();`));
  });

  it('has one arrow function for typedEventSource()', () => {
    const code = `import { typedEventSource } from 'express-yield/client'; typedEventSource('/market').close();`;

    expect(bundle(code)).toBe('var e=(t,o)=>new EventSource(t,o);e("/market").close();');
    expect(bundle(code).length - bundle("new EventSource('/market').close();").length).toBe(20);
  });

  it('has one arrow function for parse()', () => {
    expect(bundle(`import { parse } from 'express-yield/client'; globalThis.x = parse;`)).toMatch(
      /^var \w=\w=>JSON\.parse\(\w\);globalThis\.x=\w;$/,
    );
  });
});

describeInChromium('a page in Chromium', (tabs) => {
  afterEach(releaseAll);

  it('receives every event with the data of its type', async () => {
    const market = new Channel<Market>();
    await market.publish(event('price', { symbol: 'ACME', cents: 100 }));
    await market.publish(event('halt', { reason: 'news', at: new Date('2026-11-22T13:02:00Z') }));
    await market.publish(event('note', 'two\nlines'));
    await market.end({ events: 3 });
    const server = await serve((app, sse) => {
      app.get('/', (_req, res) => {
        res.send(
          `<!doctype html><link rel="icon" href="data:,"><body><script type="module">${bundle(SHOWING)}</script>`,
        );
      });
      app.get(
        '/market',
        sse(() => market.subscribe({ lastEventId: 'before' })),
      );
    });

    const page = await tabs.open(server.url('/'));

    expect(JSON.parse((await page.textContent('pre')) ?? '')).toEqual([
      'open',
      ['gap', 'before'],
      ['price', 101],
      ['halt', 2026],
      ['note', 'two\nlines', true],
      ['end', { events: 3 }, true],
    ]);
    expect(tabs.errors).toEqual([]);
  });
});
