import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Topic } from './contender';

const ROOT = join(__dirname, '../../..');

/** `yes`: with `Ways.plain`; `by hand`: only with `Ways.byHand`; `no`: with neither; `–`: not applicable. */
export type Mark = 'yes' | 'by hand' | 'no' | '–';

export const PACKAGES = ['express-yield', 'better-sse', '@fastify/sse', 'express-sse', 'hono'] as const;

export type PackageName = (typeof PACKAGES)[number];

type Marks = readonly [Mark, Mark, Mark, Mark, Mark];

/** The rows of the README that a test runs: the topic, and the expected result of each of {@link PACKAGES}. */
export const MEASURED: ReadonlyArray<readonly [Topic, string, Marks]> = [
  [
    'takesGenerators',
    'Takes an async generator: each value is an event',
    ['yes', 'yes', 'yes', 'by hand', 'by hand'],
  ],
  [
    'endsWaiting',
    'The client disconnects while the generator waits: a signal ends the wait, `finally` runs',
    ['yes', 'yes', 'yes', 'by hand', 'yes'],
  ],
  [
    'endsUnread',
    'The client disconnects without reading what was sent: `finally` runs',
    ['yes', 'yes', 'by hand', 'by hand', 'by hand'],
  ],
  [
    'waitsForClients',
    'The generator waits for a client that does not read',
    ['yes', 'by hand', 'yes', 'by hand', 'yes'],
  ],
  [
    'refuses',
    'A throw before the first event is a real 401',
    ['yes', 'by hand', 'yes', 'by hand', 'by hand'],
  ],
  [
    'stopsFinished',
    'An `EventSource` stops for good when the generator has returned',
    ['yes', 'by hand', 'by hand', 'by hand', 'by hand'],
  ],
  [
    'forgesNothing',
    "A newline in an event's type or id forges no event",
    ['yes', 'by hand', 'no', 'no', 'yes'],
  ],
  [
    'sendsLines',
    'Plain text arrives with all its lines (LF, CR, CRLF); as JSON it does with every package',
    ['yes', 'by hand', 'by hand', 'no', 'yes'],
  ],
  [
    'flushes',
    "With `compression()`, or Hono's own, each event arrives immediately",
    ['yes', 'yes', '–', 'by hand', 'yes'],
  ],
  [
    'answersPosts',
    'Streams a response to a POST whose JSON body was read, until the client disconnects',
    ['yes', 'by hand', 'by hand', 'no', 'yes'],
  ],
  ['keepsAlive', 'Comments keep an idle connection open', ['yes', 'yes', 'yes', 'by hand', 'by hand']],
  [
    'hidesErrors',
    "An error's text stays on the server, even if you handle errors",
    ['yes', 'yes', 'yes', 'yes', 'by hand'],
  ],
  ['broadcasts', 'One call sends to all subscribers', ['yes', 'yes', 'by hand', 'yes', 'by hand']],
  [
    'replays',
    'A client that reconnects gets exactly what it missed',
    ['yes', 'by hand', 'by hand', 'by hand', 'by hand'],
  ],
  [
    'endsAll',
    'One call at shutdown ends every stream properly, and the server closes',
    ['yes', 'by hand', 'by hand', 'by hand', 'by hand'],
  ],
  [
    'sendsToOne',
    'Any code can send to one open stream, as `session.push()` does',
    ['by hand', 'yes', 'yes', 'yes', 'yes'],
  ],
  [
    'negotiates',
    'One route streams or returns JSON, depending on the `Accept` header',
    ['yes', 'by hand', 'yes', 'by hand', 'by hand'],
  ],
];

/** Words that a package's README contains, and its address. */
export const SAID = {
  'better-sse': { url: 'https://github.com/MatthewWid/better-sse#readme', words: ['Hono', 'Bun', 'Deno'] },
  '@fastify/sse': { url: 'https://github.com/fastify/sse#readme', words: ['Fastify'] },
  'express-sse': { url: 'https://github.com/dpskvn/express-sse#readme', words: ['Express'] },
  hono: { url: 'https://github.com/honojs/hono#readme', words: ['Cloudflare', 'Deno', 'Bun', 'Node.js'] },
} as const;

function linked(text: string, name: keyof typeof SAID): string {
  return `[${text}](${SAID[name].url})`;
}

/** The folder of what runs a package on Node; Hono needs a separate server there. */
const NODE: Readonly<Record<PackageName, string>> = {
  'express-yield': '.',
  'better-sse': 'node_modules/better-sse',
  '@fastify/sse': 'node_modules/@fastify/sse',
  'express-sse': 'node_modules/express-sse',
  hono: 'node_modules/@hono/node-server',
};

/** All rows of the README, cell by cell. */
export function rows(): string[][] {
  return [
    ['', ...PACKAGES.map((name) => (name === 'express-yield' ? name : `${name} ${versionOf(name)}`))],
    ...MEASURED.map(([, what, marks]) => [what, ...marks]),
    [
      'Runs on',
      'Express, connect, `node:http`, `node:http2`',
      linked('most frameworks, Fetch, Deno, Bun', 'better-sse'),
      linked('Fastify', '@fastify/sse'),
      linked('Express', 'express-sse'),
      linked('Node, Deno, Bun, Workers …', 'hono'),
    ],
    ['Oldest Node', ...PACKAGES.map(oldestNodeOf)],
    [
      '[The cost of an event, a visit and a waiting stream](bench/README.md)',
      ...PACKAGES.map(() => 'measured'),
    ],
  ];
}

export function versionOf(name: string): string {
  return manifestOf(name === 'express-yield' ? '.' : `node_modules/${name}`).version;
}

function oldestNodeOf(name: PackageName): string {
  const { engines } = manifestOf(NODE[name]);
  return (engines?.node ?? '').replace(/^>=\s*/, '').replace(/(\.0)+$/, '');
}

interface Manifest {
  readonly version: string;
  readonly engines?: { readonly node?: string };
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as Manifest;
}

/** The cells of each row of the table in a Markdown text; no cell contains a bar. */
export function cellsIn(markdown: string): string[][] {
  const lines = markdown.split('\n').filter((line) => line.startsWith('|') && !line.startsWith('| ---'));
  return lines.map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
}
