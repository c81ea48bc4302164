import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, SAME } from '../support/compiler';
import { ROOT } from '../support/demo';
import { compileMatrix, type ErrorsBySetup } from '../support/type-matrix';
import { TYPE_SETUPS, type TypeSetup } from '../support/type-project';

const EXPRESS = `
  import express, { type Request, type Response } from 'express';
  import { createSse, encode, event, sse } from '../lib';
  const app = express();
`;
const OTHERS = `
  import http from 'node:http';
  import http2 from 'node:http2';
  import https from 'node:https';
  import connect from 'connect';
  import { sse } from '../lib';
`;

const CHANNELS = `
  import express from 'express';
  import { Channel, comment, event, memoryLog, sse, type ChannelEvent, type EventLog, type Events, type Gap, type ServerSentEvent, type Subscribable } from '../lib';
  interface Price { readonly symbol: string; readonly cents: number }
  const app = express();
  const prices = new Channel<Price>();
`;

const MARKET = `${CHANNELS}
  interface Halt { readonly reason: 'news' | 'limits' }
  const market = new Channel<Events<{ price: Price; halt: Halt }>>();
`;

/** Code that compiles. */
const GOOD = {
  'runs are found with the channel type of their values': `${CHANNELS}${SAME}
    import { createRuns, type Channel as ChannelOf } from '../lib';
    const runs = createRuns<Price>({ leaseMs: 10_000, ttlMs: undefined });
    app.get('/runs/:key', async (req, res) => {
      const run = await runs.find(req.params.key);
      same<typeof run, ChannelOf<Price> | undefined>();
      return run ?? void res.sendStatus(204);
    });
    app.post('/runs/:key', (req) =>
      runs.start(req.params.key, async function* ({ signal, lastId, lastEvent }) {
        same<typeof lastId, string>();
        if (!signal.aborted && lastEvent === undefined) yield { symbol: 'A', cents: 1 };
        yield event('split', { symbol: 'A', cents: 2 });
        return 'done';
      }, { takeover: true }));
    for (const { key, channel } of runs) same<typeof channel, ChannelOf<Price>>();`,
  'publish() takes an idempotency key': `${CHANNELS}
    void prices.publish({ symbol: 'A', cents: 1 }, { idempotencyKey: 'a' });
    void prices.publish({ symbol: 'A', cents: 1 }, { idempotencyKey: undefined });`,
  'a plain route finds res.sse': `${EXPRESS}${SAME}
    app.get('/x', async function* (req, res) {
      same<typeof res.sse.signal, AbortSignal>();
      same<typeof res.sse.lastEventId, string>();
      yield req.path;
    });`,
  'a plain route keeps its params': `${EXPRESS}${SAME}
    app.get('/users/:id', async function* (req) {
      same<typeof req.params, { id: string }>();
      yield 1;
    });`,
  'sse() is middleware of an app or a router': `${EXPRESS}
    app.use(sse());
    app.use('/api', sse({ keepAliveMs: false }));
    express.Router().use(sse());`,
  'sse(handler) is the handler of a route, with and without options': `${EXPRESS}
    app.get('/x', sse(async function* () { yield 1; }));
    app.get('/x', sse(async () => [1], { retryMs: 5 }));
    express.Router().post('/x', sse(() => undefined));`,
  'sse(handler) accepts a handler with explicit types': `${EXPRESS}${SAME}
    app.get('/users/:id', sse(async function* (req: Request<{ id: string }>, res: Response) {
      same<typeof res.sse.signal, AbortSignal>();
      yield req.params.id;
    }));`,
  'sse(handler) works in http.createServer': `${OTHERS}${SAME}
    http.createServer(sse((req, res) => {
      same<typeof req, http.IncomingMessage>();
      same<typeof res.sse.signal, AbortSignal>();
      res.setHeader('X-A', 'a');
      return [req.url];
    }));`,
  'sse(handler) works in https.createServer': `${OTHERS}
    https.createServer({}, sse(async function* (req, res) { yield [req.url, res.sse.lastEventId]; }));`,
  'sse(handler) works in http2.createServer': `${OTHERS}${SAME}
    http2.createServer(sse((req, res) => {
      same<typeof req, http2.Http2ServerRequest>();
      same<typeof res.sse.signal, AbortSignal>();
      return [req.stream.id, res.stream.id];
    }));`,
  'sse(handler) works in http2.createSecureServer, with explicit types': `${OTHERS}
    http2.createSecureServer({}, sse(async function* (req: http2.Http2ServerRequest, res: http2.Http2ServerResponse) {
      yield [req.stream.id, res.stream.id];
    }));`,
  'sse(handler) works in connect': `${OTHERS}
    connect().use(sse(async function* (req, res) { yield [req.url, res.sse.lastEventId]; }));
    connect().use('/x', sse(() => [1]));`,
  'an event has the type of its data': `${EXPRESS}${SAME}
    same<ReturnType<typeof event<'tick', { n: number }>>['data'], { n: number }>();
    const bytes: string = encode(event('tick', 1, { id: 1n, retry: 5, comment: 'c' }));
    app.set('x', bytes);`,
  'every instance has close() and size': `${EXPRESS}${SAME}
    const feeds = createSse({ maxStreams: 5 });
    same<typeof feeds.size, number>();
    same<ReturnType<typeof feeds.close>, Promise<void>>();
    void sse.close({ spreadMs: 0, graceMs: 0 });`,
  'sse(handler) infers the params of its route': `${EXPRESS}${SAME}
    app.get('/users/:id', sse(async function* (req) {
      same<typeof req.params, { id: string }>();
      yield 1;
    }));`,
  "sse(handler) infers Express's Request and Response": `${EXPRESS}
    app.post('/x', sse((req, res, next) => {
      if (!req.body) return next();
      res.status(201).locals.user = req.get('x-user');
      return [req.query, res.sse.lastEventId];
    }));`,
  'sse(handler) passes them to functions': `${EXPRESS}
    declare function authorize(req: Request, res: Response): Promise<void>;
    app.post('/:room', sse(async function* (req, res) {
      await authorize(req, res);
      if (req.body.isLast) res.status(201).locals.user = req.query.user;
      yield [req.params.room?.length, req.body.messages, res.locals.user];
    }));
    app.post('/x', sse((req, res) => (req.body.stream ? [1] : res.status(400).json({ error: 'stream' }))));`,
  'sse(handler) knows that a param is one string': `${EXPRESS}
    declare function find(id: string): string;
    app.get('/users/:id', sse(async function* ({ params: { id } }) { yield find(id); }));`,
  'sse(handler) infers them in a router': `${EXPRESS}
    express.Router().get('/users/:id', sse(async function* (req, res) {
      yield req.params.id + res.sse.lastEventId;
    }, { keepAliveMs: false }));`,
  'a route may return a channel or a filtered channel, with the middleware and with sse(handler)': `${CHANNELS}
    app.get('/x', () => prices);
    app.get('/x/:symbol', (req) => prices.filter(({ symbol }) => symbol === req.params.symbol));
    app.get('/y', sse(() => prices));
    app.get('/y/:symbol', sse(async (req) => prices.filter(({ symbol }) => symbol === req.params.symbol)));
    app.get('/z', (_req, res) => prices.subscribe(res.sse));
    app.get('/z', sse((_req, res) => prices.subscribe(res.sse)));`,
  'a channel composes with yield*': `${CHANNELS}
    app.get('/mine', async function* (_req, res) {
      const live = prices.subscribe(res.sse);
      yield 'snapshot';
      return yield* live;
    });
    app.get('/all', async function* () { yield* prices; });`,
  'a filter has the types of its data and its event': `${CHANNELS}${SAME}
    const part = prices.filter((data, event) => {
      same<typeof data, Price>();
      same<typeof event, ServerSentEvent<string | undefined, Price>>();
      same<typeof event.id, string | undefined>();
      return data.cents > 5;
    });
    same<typeof part, Subscribable<Price>>();
    part.filter(({ cents }) => cents < 9).subscribe();`,
  'a subscription yields events with an id and gaps without one': `${CHANNELS}${SAME}
    async function read() {
      for await (const each of prices) {
        same<typeof each, ChannelEvent<Price>>();
        if (each.id === undefined) same<typeof each.data, Gap>();
        else same<[typeof each.data, typeof each.id], [Price, string]>();
      }
      for await (const { id, data } of prices.filter(({ cents }) => cents > 1)) {
        if (id !== undefined) same<typeof data, Price>();
      }
      const { value, done } = await prices.subscribe({ lastEventId: 'x', signal: AbortSignal.timeout(5) }).next();
      if (!done) same<typeof value, ChannelEvent<Price>>();
      same<typeof prices.size, number>();
    }`,
  'publish() accepts data, or an event with such data': `${CHANNELS}${SAME}
    same<ReturnType<typeof prices.publish>, Promise<string>>();
    void prices.publish({ symbol: 'A', cents: 1 });
    void prices.publish(event('tick', { symbol: 'A', cents: 1 }));
    void prices.end();
    void prices.end({ any: 'thing' });
    same<ReturnType<typeof prices.close>, Promise<void>>();
    void new Channel().publish(5);`,
  'Channel.from() infers the values of its source': `${CHANNELS}${SAME}
    same<ReturnType<typeof a>, Channel<number>>();
    const a = () => Channel.from(async function* ({ signal }) {
      same<typeof signal, AbortSignal>();
      yield 1;
      return 'done';
    });
    same<ReturnType<typeof b>, Channel<string>>();
    const b = () => Channel.from(['a'], { ttlMs: false, log: memoryLog({ maxEvents: 5 }) });
    same<ReturnType<typeof c>, Channel<Price>>();
    const c = () => Channel.from(async function* (): AsyncGenerator<Price | ServerSentEvent<string, Price>> {
      yield { symbol: 'A', cents: 1 };
      yield event('tick', { symbol: 'A', cents: 1 });
    });`,
  'an event has a literal type and is assignable to a wider type': `${CHANNELS}${SAME}
    const tick = event('tick', { n: 1 });
    same<typeof tick, ServerSentEvent<'tick', { n: number }>>();
    const wide: [ServerSentEvent, ServerSentEvent<'tick' | 'tock', unknown>] = [tick, tick];`,
  'a channel of data accepts an event of any type with such data, even if the data resembles events': `${CHANNELS}
    declare const type: string;
    void prices.publish(event('trade', { symbol: 'A', cents: 1 }));
    void prices.publish(event(type, { symbol: 'A', cents: 1 }));
    const orders = new Channel<{ price: Price; halt: Price }>();
    void orders.publish({ price: { symbol: 'A', cents: 1 }, halt: { symbol: 'A', cents: 1 } });
    orders.filter(({ price }) => price.cents > 1);`,
  'a channel of events accepts each event with its own data, including literals': `${MARKET}
    void market.publish(event('price', { symbol: 'A', cents: 1 }));
    void market.publish(event('halt', { reason: 'news' }, { retry: 5 }));`,
  'a filter narrows the events of a channel by their types': `${MARKET}${SAME}
    market.filter((data, event) => {
      same<typeof data, Price | Halt>();
      if (event.type === 'price') same<typeof event.data, Price>();
      return event.type === 'halt' && event.data.reason === 'news';
    });`,
  'a subscription narrows events and gaps': `${MARKET}${SAME}
    async function read() {
      for await (const each of market.subscribe()) {
        if (each.type === 'gap') same<[typeof each.data, typeof each.id], [Gap, undefined]>();
        else if (each.type === 'price') same<[typeof each.data, typeof each.id], [Price, string]>();
        else same<typeof each.data, Halt>();
      }
    }`,
  'Channel.from() narrows the events of its source': `${CHANNELS}${SAME}
    async function read() {
      const job = Channel.from(async function* () {
        yield event('progress', { percent: 1 });
        yield event('log', 'warm');
        return 'done';
      });
      for await (const each of job) {
        if (each.type === 'progress') same<typeof each.data, { percent: number }>();
        if (each.type === 'log') same<typeof each.data, string>();
      }
    }`,
  'a channel may contain both data and events': `${CHANNELS}
    const mixed = new Channel<Price | ServerSentEvent<'halt', string>>();
    void mixed.publish({ symbol: 'A', cents: 1 });
    void mixed.publish(event('message', { symbol: 'A', cents: 1 }));
    void mixed.publish(event('halt', 'news'));`,
  'every channel is assignable to a channel of unknown': `${MARKET}
    const all: Array<Subscribable<unknown>> = [prices, market, market.filter(() => true)];
    const byName = new Map<string, Channel>([['prices', prices], ['market', market]]);
    function feed<Value>(channel: Channel<Value>, value: Value) { void channel.publish(value); }
    feed(prices, { symbol: 'A', cents: 1 });`,
  'a generic helper publishes data, and events with it': `${CHANNELS}
    function send<Value>(channel: Channel<Value>, data: Value) { return channel.publish(data); }
    function announce<Value>(channel: Channel<Value>, type: string, data: Value) {
      return channel.publish(event(type, data));
    }
    class Topic<Value extends { readonly symbol: string }> {
      readonly channel = new Channel<Value>();
      put(value: Value) { return this.channel.publish(event('put', value, { retry: 5 })); }
      of(symbol: string) { return this.channel.filter((value) => value.symbol === symbol); }
    }
    void send(prices, { symbol: 'A', cents: 1 });
    void announce(prices, 'tick', { symbol: 'A', cents: 1 });
    void new Topic<Price>().put({ symbol: 'A', cents: 1 });`,
  'a generic helper publishes each event of a channel with its own data': `${MARKET}
    interface Market { price: Price; halt: Halt }
    function emit<Type extends keyof Market>(type: Type, data: Market[Type]) {
      return market.publish(event(type, data));
    }
    class Bus<Map extends object> {
      readonly channel = new Channel<Events<Map>>();
      emit<Type extends keyof Map & string>(type: Type, data: Map[Type]) {
        return this.channel.publish(event(type, data));
      }
    }
    void emit('price', { symbol: 'A', cents: 1 });
    void new Bus<Market>().emit('halt', { reason: 'news' });`,
  'a channel accepts a custom log': `${CHANNELS}
    declare const log: EventLog;
    new Channel<Price>({ log, overflow: 'skip', replay: true, serialize: String, parse: JSON.parse });`,
};

/** Code that does not compile, and a part of the error message; where it differs, also that of TypeScript 7. */
const BAD: Readonly<Record<string, readonly [code: string, message: string, inTypeScript7?: string]>> = {
  'a wrong option of sse()': [
    `${EXPRESS} sse({ keepAliveMs: '5' });`,
    "'string' is not assignable to type 'number | false",
  ],
  'a wrong option of sse(handler)': [
    `${EXPRESS} sse(() => [], { keepAliveMs: true });`,
    "'true' is not assignable",
  ],
  'a wrong option of createSse()': [
    `${EXPRESS} createSse({ end: 'never' });`,
    '\'"never"\' is not assignable to type \'"stop"',
    '\'"never"\' is not assignable to type \'"reconnect" | "stop"',
  ],
  'a misspelt option of sse()': [
    `${EXPRESS} sse({ keepaliveMs: 5 });`,
    "Did you mean to write 'keepAliveMs'?",
  ],
  'a misspelt option of sse(handler)': [
    `${EXPRESS} sse(() => [], { retryMS: 5 });`,
    "Did you mean to write 'retryMs'?",
  ],
  'an option that does not exist': [
    `${EXPRESS} createSse({ heartbeat: 5 });`,
    "'heartbeat' does not exist in type 'SseOptions'",
  ],
  'a misspelt option of close()': [
    `${EXPRESS} sse.close({ spread: 5 });`,
    "Did you mean to write 'spreadMs'?",
  ],
  'a generator instead of its function': [
    `${EXPRESS} sse((async function* () { yield 1; })());`,
    'No overload matches this call',
  ],
  'an event without data': [`${EXPRESS} event('tick');`, 'Expected 2-3 arguments, but got 1'],
  'a type that is not a string': [
    `${EXPRESS} event(5, 1);`,
    "'number' is not assignable to parameter of type 'string'",
  ],
  'a field that does not exist': [`${EXPRESS} event('tick', 1, { ID: 1 });`, "Did you mean to write 'id'?"],
  'an assignment to a field of an event': [
    `${EXPRESS} event('tick', 1).id = '2';`,
    "Cannot assign to 'id' because it is a read-only",
  ],
  'an assignment to size': [`${EXPRESS} sse.size = 0;`, "Cannot assign to 'size' because it is a read-only"],
  'a param that the route does not have': [
    `${EXPRESS} app.get('/users/:id', async function* (req) { yield req.params.name; });`,
    "Property 'name' does not exist on type '{ id: string; }'",
  ],
  'wrong data for publish()': [
    `${CHANNELS} void prices.publish({ symbol: 'A' });`,
    "Property 'cents' is missing",
  ],
  'an event with wrong data for publish()': [
    `${CHANNELS} void prices.publish(event('tick', 5));`,
    "'ServerSentEvent<\"tick\", number>' is not assignable to parameter of type 'Publishable<Price>'",
  ],
  'an event that the channel does not have': [
    `${MARKET} void market.publish(event('prise', { symbol: 'A', cents: 1 }));`,
    'Type \'"prise"\' is not assignable to type \'"price"\'',
    'Argument of type \'ServerSentEvent<"prise", { symbol: string; cents: number; }>\' is not assignable',
  ],
  'an event of the channel with the data of another': [
    `${MARKET} void market.publish(event('price', { reason: 'news' }));`,
    "Type '{ reason: \"news\"; }' is missing the following properties from type 'Price': symbol, cents",
  ],
  'an event of the channel with a wrong literal in its data': [
    `${MARKET} void market.publish(event('halt', { reason: 'rumour' }));`,
    'Type \'"rumour"\' is not assignable to type \'"news" | "limits"\'',
    'Type \'"rumour"\' is not assignable to type \'"limits" | "news"\'',
  ],
  'plain data for a channel of events': [
    `${MARKET} void market.publish({ symbol: 'A', cents: 1 });`,
    "'symbol' does not exist in type 'Publishable<Events<{ price: Price; halt: Halt; }>>'",
  ],
  'a comment for a channel of events': [
    `${MARKET} void market.publish(comment('x'));`,
    "not assignable to parameter of type 'Publishable<Events<{ price: Price; halt: Halt; }>>'",
  ],
  'undefined for a channel of data': [
    `${CHANNELS} void prices.publish(undefined);`,
    "'undefined' is not assignable to parameter of type 'Publishable<Price>'",
  ],
  'a filter for an event that the channel does not have': [
    `${MARKET} market.filter((_data, { type }) => type === 'prise');`,
    '\'"price" | "halt"\' and \'"prise"\' have no overlap',
    '\'"halt" | "price"\' and \'"prise"\' have no overlap',
  ],
  'plain data with an event type other than message': [
    `${CHANNELS} void new Channel<number | ServerSentEvent<'halt', string>>().publish(event('tick', 5));`,
    'Argument of type \'ServerSentEvent<"tick", number>\' is not assignable',
  ],
  'a number instead of a handler': [
    `${EXPRESS} sse(5);`,
    "Argument of type '5' is not assignable to parameter of type 'CallableFunction | NodeHandler",
    "Type '5' has no properties in common with type 'SseOptions'",
  ],
  'a channel instead of a handler': [
    `${CHANNELS} sse(prices);`,
    "Argument of type 'Channel<Price>' is not assignable to parameter of type 'CallableFunction | NodeHandler",
    "Argument of type 'Channel<Price>' is not assignable to parameter of type 'SseOptions'",
  ],
  'an event whose type and data may belong to different events of the channel': [
    `${MARKET} declare const type: 'price' | 'halt'; void market.publish(event(type, { symbol: 'A', cents: 1 }));`,
    'Type \'"price" | "halt"\' is not assignable to type \'"price"\'',
    'Type \'"halt" | "price"\' is not assignable to type \'"halt"\'',
  ],
  'a generic helper with the data of another event': [
    `${MARKET} interface Market { price: Price; halt: Halt }
    function emit<Type extends keyof Market>(type: Type, data: Price) { void market.publish(event(type, data)); }`,
    "Argument of type 'ServerSentEvent<Type, Price>' is not assignable",
  ],
  'a generic helper with other data': [
    `${CHANNELS} function send<A, B>(channel: Channel<A>, data: B) { void channel.publish(event('x', data)); }`,
    'Argument of type \'ServerSentEvent<"x", B>\' is not assignable',
  ],
  'an async filter': [
    `${CHANNELS} prices.filter(async () => true);`,
    "'Promise<boolean>' is not assignable to type 'boolean'",
  ],
  'a filter of wrong data': [
    `${CHANNELS} prices.filter(({ name }) => name === 'x');`,
    "Property 'name' does not exist on type 'Price'",
  ],
  'an overflow that does not exist': [
    `${CHANNELS} new Channel({ overflow: 'drop' });`,
    '\'"drop"\' is not assignable to type \'"disconnect"',
  ],
  'a misspelt option of memoryLog()': [
    `${CHANNELS} memoryLog({ maxEvent: 5 });`,
    "Did you mean to write 'maxEvents'?",
  ],
  'an option of a run for a channel': [`${CHANNELS} new Channel({ ttlMs: 5 });`, "'ttlMs' does not exist"],
  'a number as lastEventId': [
    `${CHANNELS} prices.subscribe({ lastEventId: 5 });`,
    "'number' is not assignable to type 'string'",
  ],
  'an assignment to the size of a channel': [
    `${CHANNELS} prices.size = 0;`,
    "Cannot assign to 'size' because it is a read-only",
  ],
};

describe('the types', () => {
  const code = {
    ...GOOD,
    ...Object.fromEntries(Object.entries(BAD).map(([name, [text]]) => [name, text])),
  };
  let errors: ReadonlyMap<string, string>;

  beforeAll(() => {
    errors = compile(code);
  });

  it.each(Object.keys(GOOD))('compile: %s', (name) => {
    expect(errors.get(name)).toBe('');
  });

  it.each(Object.keys(BAD))('reject: %s', (name) => {
    expect(errors.get(name)).toContain(BAD[name]?.[1]);
  });
});

/** The first setup of each compiler, which also compiles the recipes and the mistakes. */
const FULL_SETUPS = TYPE_SETUPS.filter(
  ({ typescript }, index) => TYPE_SETUPS.findIndex((setup) => setup.typescript === typescript) === index,
);

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const README_FILES = [...README.matchAll(/^```(?:js|ts)\n(.*?)^```$/gms)].map(([, code = ''], index) => {
  const [, name = `block-${index}.ts`] = /^\/\/ (\w+\.ts)\n/.exec(code) ?? [];
  return [`readme/${name}`, code] as const;
});
const RECIPES = filesIn('docs', /\.m?tsx?$/, 'docs');
const DECLARATIONS = filesIn('dist', /^\w+\.d\.m?ts$/, 'node_modules/express-yield/dist');
const SNIPPETS = Object.values(GOOD).map(
  (code, index) => [`good/${index}.ts`, importingPackage(code)] as const,
);
const MISTAKES = Object.values(BAD).map(
  ([code], index) => [`bad/${index}.ts`, importingPackage(code)] as const,
);

/** Files of this repository, at the place that they have in a project. */
function filesIn(folder: string, pattern: RegExp, place: string): Array<readonly [string, undefined]> {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => pattern.test(path))
    .map((path) => [`${place}/${path}`, undefined] as const);
}

function importingPackage(code: string): string {
  return code.replaceAll("'../lib'", "'express-yield'");
}

/** The declarations of `redis` take as long as all others together, and differ in no setup. */
const README_WITHOUT_REDIS = README_FILES.filter(([, code]) => !code.includes("from 'redis'"));

function filesOf(setup: TypeSetup): Record<string, string | undefined> {
  const files = [...DECLARATIONS, ...SNIPPETS];
  return Object.fromEntries(
    FULL_SETUPS.includes(setup)
      ? [...files, ...README_FILES, ...RECIPES, ...MISTAKES]
      : [...files, ...README_WITHOUT_REDIS],
  );
}

/** What needs TypeScript 5.9: before it, the route's own types are not known when the handler is checked. */
const NEEDS_5_9: Readonly<Record<string, string>> = {
  'sse(handler) works in http.createServer': "TS2345 Argument of type '[]' is not assignable",
  'sse(handler) infers the params of its route': 'TS2554 Expected 1 arguments, but got 0.',
};

/** In its `Request` without parameters, Express 5 has params of more than one part. */
const NEEDS_5_9_WITH_EXPRESS_5: Readonly<Record<string, string>> = {
  'sse(handler) knows that a param is one string':
    "TS2345 Argument of type 'string | string[]' is not assignable to parameter of type 'string'.",
};

/** Before it, a browser's `ReadableStream`, which these recipes read with `for await`, has no iterator. */
const NEEDS_5_6: Readonly<Record<string, string>> = {
  'docs/llm-tokens.ts': "TS2504 Type 'ReadableStream<EventSourceMessage>' must have",
  'docs/use-chat/server.ts': "TS2504 Type 'ReadableStream<",
};

function errorsExpectedIn(setup: TypeSetup): Readonly<Record<string, string>> {
  if (setup.typescript !== '5.4') return {};
  return {
    ...NEEDS_5_9,
    ...(setup.express === '5' && NEEDS_5_9_WITH_EXPRESS_5),
    ...(FULL_SETUPS.includes(setup) && NEEDS_5_6),
  };
}

describe('with other compilers, settings and types', () => {
  const names = new Map<string, string>([
    ...Object.keys(GOOD).map((name, index) => [`good/${index}.ts`, name] as const),
    ...Object.keys(BAD).map((name, index) => [`bad/${index}.ts`, name] as const),
  ]);
  let errors: ErrorsBySetup;

  beforeAll(async () => {
    errors = await compileMatrix(TYPE_SETUPS, filesOf);
  }, 300_000);

  function errorsOf(setup: TypeSetup, folder: RegExp): Array<readonly [name: string, message: string]> {
    return (errors.get(setup) ?? [])
      .filter(({ file }) => folder.test(file))
      .map(({ file, code, message }) => [names.get(file) ?? file, `${code} ${message}`]);
  }

  it.each(TYPE_SETUPS)(
    'compile: TypeScript $typescript, @types/express $express, @types/node $node, $resolution',
    (setup) => {
      const expected = Object.entries(errorsExpectedIn(setup)).map(([name, message]) => [
        name,
        expect.stringContaining(message),
      ]);

      const found = errorsOf(setup, /^(?!bad\/)/).filter(([, message]) => !isOnlyOfModuleKind(message));

      expect(found).toEqual(expected);
    },
  );

  it.each(FULL_SETUPS)('reject, with a readable message: TypeScript $typescript', (setup) => {
    const found = errorsOf(setup, /^bad\//);

    const unreadable = Object.entries(BAD).filter(([name, [, message, inTypeScript7 = message]]) => {
      const expected = setup.typescript === '7' ? inTypeScript7 : message;
      return !found.some(([file, text]) => file === name && text.includes(expected));
    });

    expect(unreadable.map(([name]) => [name, found.filter(([file]) => file === name)])).toEqual([]);
  });

  it('are tried in every pair, except for an odd version of @types/node', () => {
    expect(missingPairs(TYPE_SETUPS.filter(({ node }) => node !== '25'))).toEqual([]);
  });
});

/** Some recipes are CommonJS and import ES modules of others, which runs, but which these module kinds do not know. */
function isOnlyOfModuleKind(message: string): boolean {
  return message.startsWith('TS1479 ') && !message.includes('"express-yield');
}

/** The pairs of values of two columns that are in no row. */
function missingPairs(rows: readonly TypeSetup[]): string[] {
  const columns = ['typescript', 'express', 'node', 'resolution'] as const;
  return columns.flatMap((one, index) =>
    columns.slice(index + 1).flatMap((other) => {
      const found = new Set(rows.map((row) => `${row[one]} ${row[other]}`));
      return [...new Set(rows.map((row) => row[one]))].flatMap((a) =>
        [...new Set(rows.map((row) => row[other]))].flatMap((b) =>
          found.has(`${a} ${b}`) ? [] : [`${a} ${b}`],
        ),
      );
    }),
  );
}
