import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { STATUS_CODES } from 'node:http';
import { dirname, join } from 'node:path';
import express, { type ErrorRequestHandler, type Request, type Response } from 'express';
import ts from 'typescript';
import { createSse, type Sse } from '../../lib';
import { type OpenedStream, openStream } from '../../lib/testing';
import { DocumentedApp, SECTIONS } from '../support/documented-code';

/** Codes that are reported after the client has left. */
const LEAVING = ['ERR_SSE_CLIENT_LEFT', 'SSE_GENERATOR_OUTLIVES_CLIENT'];

const ROOT = join(__dirname, '../..');
const LIB = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** The nodes of all files of lib for which the predicate holds, each with its file. */
function findInLib(predicate: (node: ts.Node) => boolean): Array<{ file: string; node: ts.Node }> {
  const found: Array<{ file: string; node: ts.Node }> = [];
  for (const file of LIB) {
    const visit = (node: ts.Node): void => {
      if (predicate(node)) found.push({ file, node });
      ts.forEachChild(node, visit);
    };
    visit(ts.createSourceFile(file, read(join('lib', file)), ts.ScriptTarget.Latest, true));
  }
  return found;
}

/** Every code that is written in lib. */
function codesOfLib(): string[] {
  const codes = findInLib((node) => ts.isStringLiteral(node) && /^(ERR_)?SSE_[A-Z_]+$/.test(node.text));
  return [...new Set(codes.map(({ node }) => (node as ts.StringLiteral).text))].sort();
}

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(file: string): string[] {
  const headings = [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading);
  return headings.map((heading) => heading.toLowerCase().replace(/[^\w -]/g, '').replaceAll(' ', '-')); // biome-ignore format: one line
}

/** The links of a page to pages of this repository that do not exist, or to anchors that these do not have. */
function brokenLinksOf(file: string): string[] {
  const links = [...read(file).matchAll(/\]\((?!https:)([^)#]*)(?:#([^)]+))?\)/g)];
  return links.flatMap(([link, path = '', anchor]) => {
    const target = path === '' ? file : join(dirname(file), path);
    if (!existsSync(join(ROOT, target))) return link;
    return anchor === undefined || anchorsOf(target).includes(anchor) ? [] : link;
  });
}

/** The codes of a union type of lib/errors.ts. */
function codesOf(type: string): string[] {
  const [union] = findInLib((node) => ts.isTypeAliasDeclaration(node) && node.name.text === type);
  return [...(union?.node.getText().matchAll(/'(\w+)'/g) ?? [])].map(([, code = '']) => code);
}

/** The anchor to which a message of the code points. */
function anchorOf(message: string): string {
  return /See docs\/error-codes\.md#(\w+)$/.exec(message)?.[1] ?? '';
}

describe('docs/error-codes.md', () => {
  const CODES = ['SseErrorCode', 'MistakeCode', 'WarningCode'].flatMap(codesOf);

  it('has a section for each code in lib, and no other', () => {
    expect(CODES.length).toBeGreaterThan(20);
    expect(CODES.sort()).toEqual(codesOfLib());
    expect(SECTIONS.map(({ code }) => code).sort()).toEqual(CODES.sort());
  });

  it.each(SECTIONS)(
    'has the cause of $code, the code with the mistake, and the cure',
    ({ cause, mistake, cure }) => {
      expect(cause).toMatch(/^[A-Z`].{20}/);
      expect([mistake, cure]).toEqual([expect.stringMatching(/\w/), expect.stringMatching(/\w/)]);
      expect(mistake).not.toBe(cure);
    },
  );
});

describe('a mistake in docs/error-codes.md', () => {
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

  it.each(SECTIONS)(
    'is reported as $code within two seconds, with a message that points to its section',
    async ({ code, mistake }) => {
      await app.run(mistake);
      const requests = [app.fetch(mistake, client), app.fetch(mistake, client)];
      for (const request of requests) request.catch(() => undefined);
      if (LEAVING.includes(code)) await Promise.all(requests).then(() => client.abort());

      const message = await app.reported(code);

      expect(message.match(/See docs/g)).toHaveLength(1);
      expect(anchorOf(message)).toBe(code.toLowerCase());
      expect(anchorsOf('docs/error-codes.md')).toContain(anchorOf(message));
    },
  );
});

/** Why a request is refused, and by which instance. */
interface Refusal {
  readonly code: string;
  readonly status: keyof typeof STATUS_CODES;
  readonly instance: Sse;
  readonly accept: string;
}

describe('what a client sees of an error', () => {
  // Two bytes of UTF-8 for each character, and more of them than a message shows.
  const LONGEST = 'ÿ'.repeat(8_000);
  const CLOSING = createSse({ client: 'fetch' });
  const FULL = createSse({ maxStreams: 1, whenFull: 'refuse', client: 'fetch' });
  const refusals: readonly Refusal[] = [
    {
      code: 'ERR_SSE_NOT_ACCEPTABLE',
      status: 406,
      instance: createSse({ client: 'eventsource' }),
      accept: LONGEST,
    },
    { code: 'ERR_SSE_FULL', status: 503, instance: FULL, accept: '*/*' },
    { code: 'ERR_SSE_CLOSING', status: 503, instance: CLOSING, accept: '*/*' },
  ];
  const waiting = async function* (_req: Request, res: Response) {
    yield 'the first value';
    await once(res.sse.signal, 'abort');
  };
  let open: OpenedStream;
  let logged: jest.SpyInstance;
  beforeAll(async () => {
    logged = jest.spyOn(console, 'error').mockImplementation(); // Express logs what its own handler gets
    await CLOSING.close();
    open = await openStream(express().get('/', FULL(waiting)));
  });
  afterAll(async () => {
    await open.close();
    logged.mockRestore();
  });

  const respond = async (
    { instance, accept }: Pick<Refusal, 'instance' | 'accept'>,
    handler: ErrorRequestHandler,
  ) => {
    const app = express().set('env', 'production').get('/', instance(waiting));
    const stream = await openStream(app.use(handler), '/', { headers: { Accept: accept } });
    return { status: stream.status, text: await stream.ended() };
  };

  it.each(refusals)(
    'is short, if an error handler sends its message: $code',
    async ({ code, status, ...refusal }) => {
      const sendMessage: ErrorRequestHandler = (error, _req, res, _next) => {
        res.status(error.status).json({ message: error.message });
      };

      const response = await respond(refusal, sendMessage);

      expect(response.status).toBe(status);
      const { message } = JSON.parse(response.text);
      expect(anchorOf(message)).toBe(code.toLowerCase());
      expect(Buffer.byteLength(message)).toBeLessThan(300);
    },
  );

  it.each(refusals)(
    'is the status text alone, if Express sends it in production: $code',
    async ({ status, ...refusal }) => {
      const passOn: ErrorRequestHandler = (error, _req, _res, next) => next(error);

      const { text } = await respond(refusal, passOn);

      expect(text).toContain(`<pre>${STATUS_CODES[status]}</pre>`);
      expect(text).not.toMatch(/docs|SseError/);
    },
  );
});

describe('the messages of lib', () => {
  const isCallOf = (name: RegExp) => (node: ts.Node) =>
    (ts.isCallExpression(node) || ts.isNewExpression(node)) && name.test(node.expression.getText());
  const filesWith = (name: RegExp) => findInLib(isCallOf(name)).map(({ file }) => file);

  it('of warnings are emitted in one place, which adds the pointer to their section', () => {
    expect(filesWith(/^process\.emitWarning$/)).toEqual(['errors.ts']);
  });

  it('of errors with a code are made in one place', () => {
    const withCode = findInLib(isCallOf(/^Object\.assign$/)).filter(
      ({ node }) => /new (Type|Range)?Error/.test(node.getText()) && /\bcode\b/.test(node.getText()),
    );

    expect(withCode.map(({ file }) => file)).toEqual(['errors.ts', 'errors.ts']);
    expect(filesWith(/^SseError$/)).toEqual(['errors.ts']);
  });

  it('get their pointer in one place', () => {
    const pointers = findInLib(
      (node) => ts.isTemplateExpression(node) && node.getText().includes('error-codes.md#'),
    );

    expect(pointers.map(({ file }) => file)).toEqual(['errors.ts']);
  });
});

it.each(['docs/error-codes.md', 'docs/troubleshooting.md'])('%s links only to what exists', (page) => {
  expect(brokenLinksOf(page)).toEqual([]);
});
