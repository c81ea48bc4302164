import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';
import {
  commentsIn,
  countWords,
  identifierWords,
  markdownProse,
  matchesIn,
  messagesIn,
  type Passage,
  titlesIn,
} from '../support/prose';

const ROOT = resolve(__dirname, '../..');

/** Words for which the field has a standard term, such as receive, notify, reconnect, before, middleware. */
const DIALECT_WORDS = [
  'tell|tells|telling|told',
  'hear|hears|hearing|heard',
  'whoever|whatever|nobody|somebody',
  'comes?\\s+(?:again|back)|came\\s+(?:again|back)|coming\\s+(?:again|back)',
  '(?:go|goes|going|went)\\s+on',
  'in\\s+front\\s+of|behind',
  'doors?|houses?|rooms?|corridors?|farewells?|newcomers?',
];
const DIALECT = new RegExp(`\\b(?:${DIALECT_WORDS.join('|')})\\b`, 'gi');

/** The same for the words of an identifier. */
const DIALECT_IN_IDENTIFIER =
  /^(?:tells?|telling|told|(?:un)?hears?|hearing|heard|doors?|farewells?|newcomers?|whoever|nobody|corridors?)$/;

const MAX_PER_1000_WORDS = 2;

/** A line break with the start of a comment line. */
const SPACE = '[\\s*/]+';

/** Standard phrases, which are not counted. */
const EXEMPTIONS: ReadonlyArray<{ readonly phrase: RegExp; readonly in?: RegExp }> = [
  // The standard name of the subject of a recipe.
  { phrase: new RegExp(`\\bchat(?:-|${SPACE})rooms?\\b`, 'gi') },
  { phrase: /\brooms?\b/gi, in: /^docs\/chat-rooms\./ },
  // The standard phrase for an app that a proxy serves, or a response that a middleware compresses.
  {
    phrase: new RegExp(
      `\\bbehind${SPACE}(?:(?:a|any|each|the)${SPACE})?(?:proxy|proxies|nginx|HAProxy|Caddy|\`?compression\\(\\))`,
      'gi',
    ),
  },
];

interface Group {
  readonly name: string;
  readonly files: readonly string[];
  readonly passages: (file: string, text: string) => Passage[];
}

const SCRIPT = /\.m?tsx?$/;
const LIB = filesIn('lib', SCRIPT);
const TESTS = filesIn('__tests__', SCRIPT);
const TOOLS = ['bench', 'demo', 'docs', 'scripts', 'soak', 'tools'].flatMap((folder) =>
  filesIn(folder, SCRIPT),
);

const GROUPS: readonly Group[] = [
  {
    name: 'the comments and messages of lib',
    files: LIB,
    passages: (file, text) => [...commentsIn(parse(file, text)), ...messagesIn(parse(file, text))],
  },
  {
    name: 'the documents',
    files: ['', 'bench', 'docs'].flatMap((folder) => filesIn(folder, /\.md$/, { recursive: false })),
    passages: (_file, text) => markdownProse(text),
  },
  {
    name: 'the API reference',
    files: filesIn('docs/api', /\.md$/),
    passages: (_file, text) => markdownProse(text),
  },
  {
    name: 'the titles of the tests',
    files: TESTS,
    passages: (file, text) => titlesIn(parse(file, text)),
  },
  {
    name: 'the comments of the tests, recipes and tools',
    files: [...TESTS, ...TOOLS],
    passages: (file, text) => commentsIn(parse(file, text)),
  },
];

/** The paths of the matching files from the root of the repository; none if there is no such folder. */
function filesIn(folder: string, name: RegExp, { recursive = true } = {}): string[] {
  if (!readdirSync(ROOT).includes(folder.split('/')[0] ?? '') && folder !== '') return [];
  const names = readdirSync(join(ROOT, folder), { recursive, encoding: 'utf8' });
  const paths = names.map((each) => join(folder, each).replaceAll('\\', '/'));
  return paths.filter((path) => name.test(path) && !path.includes('node_modules/')).sort();
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

function parse(file: string, text: string): ts.SourceFile {
  return ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
}

/** Replaces exempt phrases, and keeps the number of words and lines. */
function withoutExemptions(file: string, text: string): string {
  const exemptions = EXEMPTIONS.filter((exemption) => exemption.in?.test(file) ?? true);
  return exemptions.reduce(
    (rest, { phrase }) => rest.replace(phrase, (all) => all.replace(/\w/g, 'x')),
    text,
  );
}

/** Each dialect word as `file:line: word`. */
function hitsIn(file: string, passages: readonly Passage[]): string[] {
  return passages.flatMap((passage) =>
    matchesIn(passage, DIALECT).map(({ line, text }) => `${file}:${line}: ${text}`),
  );
}

describe('the language', () => {
  it.each(GROUPS)('of $name has at most 2 dialect words per 1,000', ({ files, passages }) => {
    const found = files.map((file) => ({ file, prose: passages(file, withoutExemptions(file, read(file))) }));
    const words = countWords(found.flatMap(({ prose }) => prose));
    const hits = found.flatMap(({ file, prose }) => hitsIn(file, prose));
    const rate = (hits.length / words) * 1_000;
    const summary = `${hits.length} of ${words} words: ${rate.toFixed(2)} per 1,000`;

    expect(words).toBeGreaterThan(1_000);
    expect({ summary, hits: rate > MAX_PER_1000_WORDS ? hits : [] }).toEqual({ summary, hits: [] });
  });

  it('of the identifiers of lib has no dialect word', () => {
    const hits = LIB.flatMap((file) =>
      identifierWords(parse(file, read(file)))
        .filter(({ text }) => DIALECT_IN_IDENTIFIER.test(text))
        .map(({ line, text }) => `${file}:${line}: ${text}`),
    );

    expect(hits).toEqual([]);
  });
});

describe('the count', () => {
  const hitsOf = (find: (source: ts.SourceFile) => Passage[], ...lines: string[]) =>
    hitsIn('a.ts', find(parse('a.ts', lines.join('\n'))));

  it('finds a phrase across a line break, at the line where it starts', () => {
    const hits = hitsOf(commentsIn, '/**', ' * One is in', ' * front of the other.', ' */', 'const a = 1;');

    expect(hits).toEqual(['a.ts:2: in front of']);
  });

  it('includes all kinds of comments, without code and examples', () => {
    const hits = hitsOf(
      commentsIn,
      '// told',
      'const a = 1; // hear',
      '/** `door` telling */',
      'function b() { /* nobody */ }',
      '/**',
      ' * @example',
      ' * room();',
      ' * @returns whatever',
      ' */',
      'function c() {}',
    );

    expect(hits).toEqual([
      'a.ts:1: told',
      'a.ts:2: hear',
      'a.ts:3: telling',
      'a.ts:4: nobody',
      'a.ts:8: whatever',
    ]);
  });

  it('includes messages, but no other strings', () => {
    const message = `throw new Error('Cannot tell\\n' + \`that \${a} is\nheard\`);`;

    expect(hitsOf(messagesIn, "import 'door';", message)).toEqual(['a.ts:2: tell', 'a.ts:2: heard']);
  });

  it('includes the titles of describe, it and each, with the strings of the table', () => {
    const hits = hitsOf(
      titlesIn,
      "describe('a door', () => {",
      "  it.each([['a house', 1]])('told %s', () => 'nobody');",
      "  describeWithRedis('heard', () => undefined);",
      '});',
    );

    expect(hits).toEqual(['a.ts:1: door', 'a.ts:2: told', 'a.ts:2: house', 'a.ts:3: heard']);
  });

  it('includes the prose of Markdown, without code and link targets', () => {
    const lines = ['It goes', 'on.', '', '```ts', 'door', '```', '`door` and [behind](door.md)'];

    expect(hitsIn('a.md', markdownProse(lines.join('\n')))).toEqual(['a.md:1: goes on', 'a.md:7: behind']);
  });

  it.each(['a chat room', 'behind a proxy', 'behind nginx', 'behind `compression()`'])(
    'exempts %s',
    (text) => {
      const rest = (file: string) =>
        hitsIn(file, markdownProse(withoutExemptions(file, `${text}, behind a room`)));

      expect(rest('docs/auth.md')).toEqual(['docs/auth.md:1: behind', 'docs/auth.md:1: room']);
      expect(rest('docs/chat-rooms.md')).toEqual(['docs/chat-rooms.md:1: behind']);
    },
  );

  it('splits identifiers into words', () => {
    const words = identifierWords(parse('a.ts', 'const lastHeard = this.#toldId + HTTPDoor + A_ROOM;'));

    expect(words.map(({ text }) => text)).toEqual([
      'last',
      'heard',
      'told',
      'id',
      'http',
      'door',
      'a',
      'room',
    ]);
  });
});
