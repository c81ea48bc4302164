import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DocumentedApp, SECTIONS } from '../support/documented-code';

const ROOT = join(__dirname, '../..');

let app: DocumentedApp;
let client: AbortController;
beforeEach(() => {
  app = new DocumentedApp();
  client = new AbortController();
});
afterEach(() => {
  client.abort();
  return app.close();
});

describe('the code of docs/error-codes.md', () => {
  it.each(SECTIONS.filter(({ isCureRun }) => isCureRun))(
    'runs without an error or a warning after the cure of $code',
    async ({ cure }) => {
      await app.run(cure);
      if (/app\.|createServer/.test(cure)) {
        const responses = await Promise.all([app.fetch(cure, client), app.fetch(cure, client)]);
        expect(responses.map(({ status }) => status)).toEqual([200, 200]);
      }
      client.abort();
      await app.close();

      expect(app.codes).toEqual([]);
    },
  );
});

const END = 'event: end\nid: ~end\ndata: null\n\n';
const CLOCK = `data: done\n\n${END}`;

/** A row of docs/troubleshooting.md without a code: what the client gets, and what it gets after the cure. */
interface SilentRow {
  readonly see: string;
  readonly mistake?: readonly [code: string, got: string];
  readonly cure: readonly [code: string, got: string];
  readonly headers?: Record<string, string>;
}

const get = (handler: string) => `app.use(sse()); app.get('/', ${handler});`;

const SILENT_ROWS: readonly SilentRow[] = [
  {
    see: 'no warning, and a wrapper is around the handler, such as `asyncHandler(fn)` or a route of `express-promise-router`',
    cure: [
      `const asyncHandler = (fn) => (req, res, next) => { Promise.resolve(fn(req, res, next)).catch(next); };
       app.get('/', asyncHandler(sse(clock)));`,
      CLOCK,
    ],
  },
  {
    see: 'no warning, and the route belongs to a router of Express 4',
    cure: [`app.use(express4.Router().get('/', sse(clock)));`, CLOCK],
  },
  {
    see: 'no warning, and the handler returns an object or an Observable',
    cure: [get('async function* () { for (const each of [{ a: 1 }]) yield each; }'), `data: {"a":1}\n\n${END}`],
  },
  {
    see: 'nothing in a controller of NestJS',
    cure: [`app.get('/', async (req, res, next) => { sse(clock)(req, res, next); });`, CLOCK],
  },
  {
    see: 'an empty stream with the closing event, and the generator calls another one with `await`',
    mistake: [get('async function* () { await clock(); }'), END],
    cure: [get('async function* () { yield* clock(); }'), CLOCK],
  },
  {
    see: 'a response without the last values, and without the closing event',
    mistake: [get('async function* (req, res) { yield 1; res.end(); }'), ''],
    cure: [get('async function* (req, res) { yield 1; }'), `data: 1\n\n${END}`],
  },
  {
    see: '204',
    headers: { 'Last-Event-ID': '~end' },
    mistake: [get('clock'), ''],
    cure: [`app.use(sse({ end: 'reconnect' })); app.get('/', clock);`, 'data: done\n\n'],
  },
  {
    see: 'text from `res.write()` arrives before a value that was yielded earlier',
    mistake: [get(`async function* (req, res) { yield 1; res.write('data: 2\\n\\n'); }`), `data: 2\n\ndata: 1\n\n${END}`],
    cure: [get('async function* (req, res) { yield 1; yield 2; }'), `data: 1\n\ndata: 2\n\n${END}`],
  },
  {
    see: 'the status is 200, although the generator has called `res.status(401)`',
    mistake: [get('async function* (req, res) { res.status(401); yield 1; }'), `data: 1\n\n${END}`],
    cure: [get(`async function* () { throw Object.assign(new Error('no'), { status: 401 }); }`), ''],
  },
  {
    see: 'the data of the closing event is `null`, although an inner generator returned a value',
    mistake: [get('async function* () { yield* (async function* () { return 7; })(); }'), END],
    cure: [get('async function* () { return yield* (async function* () { return 7; })(); }'), END.replace('data: null', 'data: 7')],
  },
]; // biome-ignore format: table

describe('a row of docs/troubleshooting.md without a code', () => {
  const got = async (code: string, headers?: Record<string, string>) => {
    await app.run(code);
    return (await app.fetch(code, { headers, signal: client.signal })).text();
  };

  it.each(SILENT_ROWS.filter(({ mistake }) => mistake !== undefined))(
    'says what the client gets: $see',
    async ({ mistake: [code, expected] = ['', ''], headers }) => {
      expect(await got(code, headers)).toBe(expected);
    },
  );

  it.each(SILENT_ROWS)('says what helps: $see', async ({ cure: [code, expected], headers }) => {
    expect(await got(code, headers)).toBe(expected);
    expect(app.codes).toEqual([]);
  });

  it('has a test', () => {
    const page = readFileSync(join(ROOT, 'docs/troubleshooting.md'), 'utf8');
    const rows = [...page.matchAll(/^\| (?!what you see|---)(.*?) \|.*\| \|$/gm)].map(([, see]) => see);

    expect(rows).toEqual(SILENT_ROWS.map(({ see }) => see));
  });
});

/** A process of its own: an import counts for the whole process. */
describe('in production', () => {
  const run = async (code: string) => {
    const script = `
      const { tracingChannel } = require('node:diagnostics_channel');
      const express = require('express');
      const { sse } = require('./dist/index.js');
      const isTraced = () => tracingChannel('express.router.request').end.hasSubscribers;
      const app = express().get('/clock/:zone', async function* () { yield 1; });
      ${code}`;
    const env = { ...process.env, NODE_ENV: 'production' };
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['-e', script], {
      cwd: ROOT,
      env,
    });
    return stdout + stderr;
  };

  it('an app that imports the package and never calls sse() is warned on stderr', async () => {
    const output = await run(`
      const server = app.listen(0, () => {
        require('node:http').get({ port: server.address().port, path: '/clock/utc' }).on('error', () => {});
      });
      process.once('warning', () => setImmediate(() => process.exit()));`);

    expect(output).toContain(
      '[SSE_NOT_STREAMED] SseWarning: GET /clock/:zone returned an async generator, but no sse() applies to this route, so nothing is sent. ',
    );
  });

  it('an app that only wraps handlers is not traced, until its first middleware', async () => {
    const output = await run(`
      console.log(isTraced());
      app.get('/', sse(() => [1]));
      console.log(isTraced());
      app.use(sse());
      app.get('/again', sse(() => [1]));
      console.log(isTraced());`);

    expect(output).toBe('true\nfalse\ntrue\n');
  });

  it('a pending check does not keep the process alive', async () => {
    const output = await run(`
      const server = app.listen(0, () => {
        const request = require('node:http').get({ port: server.address().port, path: '/clock/utc' });
        request.on('error', () => {});
        server.once('request', () => setTimeout(() => { server.close(); request.destroy(); }, 20));
      });`);

    expect(output).toBe('');
  });
});
