import { join, resolve } from 'node:path';
import ts from 'typescript';

const ROOT = resolve(__dirname, '..');

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
  import { Channel, event, memoryLog, sse, type ChannelEvent, type EventLog, type Gap, type ServerSentEvent, type Subscribable } from '../lib';
  interface Price { readonly symbol: string; readonly cents: number }
  const app = express();
  const prices = new Channel<Price>();
`;

/** Whether two types are the same, asked of the compiler: `same<A, B>()` is an error if they differ. */
const SAME = `
  declare function same<A, B>(...differ: [A, B] extends [B, A] ? [] : ['they differ']): void;
`;

/** Code that compiles. */
const GOOD = {
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
  'sse() goes before the routes of an app or router': `${EXPRESS}
    app.use(sse());
    app.use('/api', sse({ keepAliveMs: false }));
    express.Router().use(sse());`,
  'sse(handler) goes on a route, with and without options': `${EXPRESS}
    app.get('/x', sse(async function* () { yield 1; }));
    app.get('/x', sse(async () => [1], { retryMs: 5 }));
    express.Router().post('/x', sse(() => undefined));`,
  'sse(handler) takes a handler that names its types': `${EXPRESS}${SAME}
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
  'sse(handler) works in http2.createSecureServer, with types named': `${OTHERS}
    http2.createSecureServer({}, sse(async function* (req: http2.Http2ServerRequest, res: http2.Http2ServerResponse) {
      yield [req.stream.id, res.stream.id];
    }));`,
  'sse(handler) works in connect': `${OTHERS}
    connect().use(sse(async function* (req, res) { yield [req.url, res.sse.lastEventId]; }));
    connect().use('/x', sse(() => [1]));`,
  'an event knows its data': `${EXPRESS}${SAME}
    same<ReturnType<typeof event<{ n: number }>>['data'], { n: number }>();
    const bytes: string = encode(event('tick', 1, { id: 1n, retry: 5, comment: 'c' }));
    app.set('x', bytes);`,
  'every instance has close() and size': `${EXPRESS}${SAME}
    const feeds = createSse({ maxStreams: 5 });
    same<typeof feeds.size, number>();
    same<ReturnType<typeof feeds.close>, Promise<void>>();
    void sse.close({ spreadMs: 0, graceMs: 0 });`,
  'sse(handler) finds the params of its route': `${EXPRESS}${SAME}
    app.get('/users/:id', sse(async function* (req) {
      same<typeof req.params, { id: string }>();
      yield 1;
    }));`,
  "sse(handler) finds Express's own Request and Response": `${EXPRESS}
    app.post('/x', sse((req, res, next) => {
      if (!req.body) return next();
      res.status(201).locals.user = req.get('x-user');
      return [req.query, res.sse.lastEventId];
    }));`,
  'sse(handler) finds them in a router': `${EXPRESS}
    express.Router().get('/users/:id', sse(async function* (req, res) {
      yield req.params.id + res.sse.lastEventId;
    }, { keepAliveMs: false }));`,
  'a channel goes on a route, behind either door, whole or in part': `${CHANNELS}
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
  'a filter knows its data and the event': `${CHANNELS}${SAME}
    const part = prices.filter((data, event) => {
      same<typeof data, Price>();
      same<typeof event, ServerSentEvent<Price>>();
      same<typeof event.id, string | undefined>();
      return data.cents > 5;
    });
    same<typeof part, Subscribable<Price>>();
    part.filter(({ cents }) => cents < 9).subscribe();`,
  'a subscription yields events, and gaps, which are known by having no id': `${CHANNELS}${SAME}
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
  'publish() takes the data, or an event with it': `${CHANNELS}${SAME}
    same<ReturnType<typeof prices.publish>, Promise<string>>();
    void prices.publish({ symbol: 'A', cents: 1 });
    void prices.publish(event('tick', { symbol: 'A', cents: 1 }));
    void prices.end();
    void prices.end({ any: 'thing' });
    same<ReturnType<typeof prices.close>, Promise<void>>();
    void new Channel().publish(5);`,
  'Channel.from() knows what its source yields': `${CHANNELS}${SAME}
    same<ReturnType<typeof a>, Channel<number>>();
    const a = () => Channel.from(async function* ({ signal }) {
      same<typeof signal, AbortSignal>();
      yield 1;
      return 'done';
    });
    same<ReturnType<typeof b>, Channel<string>>();
    const b = () => Channel.from(['a'], { ttlMs: false, log: memoryLog({ maxEvents: 5 }) });
    same<ReturnType<typeof c>, Channel<Price>>();
    const c = () => Channel.from(async function* (): AsyncGenerator<Price | ServerSentEvent<Price>> {
      yield { symbol: 'A', cents: 1 };
      yield event('tick', { symbol: 'A', cents: 1 });
    });`,
  'a log of one’s own goes into a channel': `${CHANNELS}
    declare const log: EventLog;
    new Channel<Price>({ log, overflow: 'skip', replay: true, serialize: String, parse: JSON.parse });`,
};

/** Code that does not compile, and a part of what the compiler says. */
const BAD: Readonly<Record<string, readonly [code: string, message: string]>> = {
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
  'a generator in the place of its function': [
    `${EXPRESS} sse((async function* () { yield 1; })());`,
    'No overload matches this call',
  ],
  'an event without data': [`${EXPRESS} event('tick');`, 'Expected 2-3 arguments, but got 1'],
  'a type that is no string': [
    `${EXPRESS} event(5, 1);`,
    "'number' is not assignable to parameter of type 'string'",
  ],
  'a field that does not exist': [`${EXPRESS} event('tick', 1, { ID: 1 });`, "Did you mean to write 'id'?"],
  'a change of an event': [
    `${EXPRESS} event('tick', 1).id = '2';`,
    "Cannot assign to 'id' because it is a read-only",
  ],
  'a change of size': [`${EXPRESS} sse.size = 0;`, "Cannot assign to 'size' because it is a read-only"],
  'a param that the route does not have': [
    `${EXPRESS} app.get('/users/:id', async function* (req) { yield req.params.name; });`,
    "Property 'name' does not exist on type '{ id: string; }'",
  ],
  'other data for publish()': [
    `${CHANNELS} void prices.publish({ symbol: 'A' });`,
    "Property 'cents' is missing",
  ],
  'an event with other data for publish()': [
    `${CHANNELS} void prices.publish(event('tick', 5));`,
    "is not assignable to parameter of type 'Price | ServerSentEvent<Price>'",
  ],
  'a filter that decides nothing': [
    `${CHANNELS} prices.filter(async () => true);`,
    "'Promise<boolean>' is not assignable to type 'boolean'",
  ],
  'a filter of other data': [
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
  'a change of a channel’s size': [
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
  }, 60_000);

  it.each(Object.keys(GOOD))('compile: %s', (name) => {
    expect(errors.get(name)).toBe('');
  });

  it.each(Object.keys(BAD))('refuse %s', (name) => {
    expect(errors.get(name)).toContain(BAD[name]?.[1]);
  });
});

/** What the compiler has to say about each text, as if all were files of this folder; `''` is nothing. */
function compile(texts: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  const names = Object.keys(texts);
  const files = new Map(
    names.map((name, index) => [join(__dirname, `compiled-${index}.ts`), texts[name] ?? '']),
  );
  const options = compilerOptions();
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => files.has(resolve(path)) || fileExists(path);
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = files.get(resolve(path));
    if (text === undefined) return getSourceFile.call(host, path, languageVersion, ...rest);
    return ts.createSourceFile(path, text, languageVersion);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return new Map(names.map((name, index) => [name, errorsIn(program, [...files.keys()][index] ?? '')]));
}

function errorsIn(program: ts.Program, path: string): string {
  const file = program.getSourceFile(path);
  if (file === undefined) throw new Error(`Expected ${path} to be compiled.`);
  return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
    .join('\n');
}

/** The strict ones of this project, but that a test need not use all that it declares. */
function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  return { ...options, noUnusedLocals: false, noUnusedParameters: false };
}
