import bodyParser from 'body-parser';
import compression from 'compression';
import cookieParser from 'cookie-parser';
import cors from 'cors';
import type { RequestHandler } from 'express';
import { rateLimit } from 'express-rate-limit';
import session from 'express-session';
import helmet from 'helmet';
import morgan from 'morgan';
import { describeSetup, Field, releaseFields, type Setup } from '../../support/field';
import { Matrix } from '../../support/field-matrix';
import { aborted, Gate } from '../../support/gate';
import { nginx } from '../../support/nginx';
import { describeWithCommand } from '../../support/proxy';

const ORIGIN = 'https://app.example';
const GZIP = { 'Accept-Encoding': 'gzip' };
const matrix = new Matrix('Express');

/** The lines that `morgan` has logged. */
let lines: string[] = [];

afterEach(async () => {
  await releaseFields();
  lines = [];
});

/** The usual middleware in the usual order, with typical options. */
function usual(limit = 100): RequestHandler[] {
  return [
    morgan(':method :url :status', { stream: { write: (line) => lines.push(line.trim()) } }),
    helmet(),
    cors({ origin: ORIGIN, credentials: true }),
    compression(),
    cookieParser('secret'),
    session({ secret: 'secret', resave: false, saveUninitialized: true }),
    rateLimit({ limit, legacyHeaders: false, standardHeaders: 'draft-7' }),
    bodyParser.json(),
    bodyParser.urlencoded(),
  ];
}

const STACK: Setup = {
  name: 'all of the middleware',
  middleware: usual,
  // The listeners of compression() and of on-finished, which morgan and express-session use.
  options: { foreignListeners: 4 },
  headers: { ...GZIP, Origin: ORIGIN },
  head: {
    'access-control-allow-origin': ORIGIN,
    'access-control-allow-credentials': 'true',
    'content-security-policy': expect.stringContaining("default-src 'self'"),
    'x-content-type-options': 'nosniff',
    'ratelimit-policy': '100;w=60',
    'set-cookie': expect.arrayContaining([expect.stringMatching(/^connect\.sid=/), 'theme=dark; Path=/']),
    vary: expect.stringContaining('Origin'),
  },
};

const COMPRESSED: Setup = {
  ...STACK,
  name: 'the same, `compress: true`',
  options: { ...STACK.options, compress: true },
  head: { ...STACK.head, 'content-encoding': 'gzip' },
};

afterAll(() => matrix.print());

// The client requests `Connection: close`, and the response respects it.
describeSetup({ name: 'nothing', head: { connection: 'close' } }, matrix);

describeSetup(STACK, matrix);

describeSetup(COMPRESSED, matrix);

describeWithCommand('nginx', 'the middleware behind nginx', () => {
  describeSetup(
    { ...STACK, name: 'all of it behind nginx, HTTP/2', proxy: nginx({ http2: true }), http2: true },
    matrix,
  );

  describeSetup(
    { ...COMPRESSED, name: 'the same, `compress: true`, nginx with gzip', proxy: nginx({ gzip: true }) },
    matrix,
  );
});

describe('morgan', () => {
  it('logs a stream only after it has ended', async () => {
    const left = new Gate();
    const field = await Field.start(STACK, (app) => {
      app.get('/', async function* (_req, res) {
        yield 'first';
        await aborted(res.sse.signal);
        left.open();
      });
    });
    const stream = await field.open('/');
    await stream.next();
    const before = [...lines];

    stream.drop();
    await left.promise;

    expect([before, lines]).toEqual([[], ['GET / 200']]);
  });
});

describe('express-session', () => {
  it('keeps session data from a generator for the next request', async () => {
    const field = await Field.start(STACK, (app) => {
      app.get('/', async function* (req) {
        const seen = req.session as unknown as { visits?: number };
        seen.visits = (seen.visits ?? 0) + 1;
        yield seen.visits;
      });
    });
    const first = await field.open('/');
    await first.ended();
    const [cookie = ''] = first.headers['set-cookie'] as string[];

    const second = await field.open('/', { headers: { Cookie: cookie } });

    expect(await second.next()).toMatchObject({ data: '2' });
  });
});

describe('express-rate-limit', () => {
  it('rejects with status 429 before the generator starts', async () => {
    let started = 0;
    const field = await Field.start({ ...STACK, middleware: () => usual(1) }, (app) => {
      app.get('/', async function* () {
        yield ++started;
      });
    });
    await (await field.open('/')).ended();

    const { status } = await field.open('/');

    expect([status, started]).toEqual([429, 1]);
  });
});

describe('cors', () => {
  it('responds to the preflight request of a POST from fetch', async () => {
    const field = await Field.start(STACK, (app) => {
      app.post('/', async function* (req) {
        yield req.body;
      });
    });
    const headers = {
      'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'content-type',
    };

    const preflight = await field.open('/', { method: 'OPTIONS', headers });

    expect(preflight.status).toBe(204);
    expect(preflight.headers['access-control-allow-headers']).toBe('content-type');
  });
});
