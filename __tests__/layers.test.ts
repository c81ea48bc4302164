import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';

const LIB = resolve(__dirname, '../lib');

/** What each room of DESIGN 9 may import, besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  abort: [],
  errors: [],
  options: ['errors'],
  'event-stream': ['errors', 'options'],
  connection: ['abort', 'errors', 'options', 'event-stream'],
  deadline: [],
  diagnostics: [],
  source: ['errors', 'options', 'event-stream'],
  channel: ['abort', 'errors', 'options', 'event-stream', 'source'],
  stream: ['errors', 'options', 'event-stream', 'channel', 'source', 'connection', 'deadline', 'diagnostics'],
  returned: ['errors', 'options', 'event-stream', 'channel', 'source', 'connection', 'stream'],
  sse: ['errors', 'options', 'event-stream', 'channel', 'source', 'connection', 'stream', 'returned'],
  client: ['event-stream'],
  testing: ['errors', 'options', 'event-stream', 'channel'],
  redis: ['errors', 'options', 'event-stream', 'channel'],
  index: [
    'errors',
    'options',
    'event-stream',
    'channel',
    'source',
    'connection',
    'diagnostics',
    'stream',
    'sse',
  ],
};

interface Import {
  readonly from: string;
  readonly specifier: string;
  /** The file of lib that it means; `undefined` for what is not a file of lib. */
  readonly to: string | undefined;
}

const files = readdirSync(LIB, { recursive: true, encoding: 'utf8' }).filter((file) => /\.m?ts$/.test(file));
const sources = new Map(files.map((file) => [file, parse(file)]));
const imports = files.flatMap(importsOf);

describe('the walls of lib', () => {
  it('stand around something', () => {
    expect(files).toEqual(expect.arrayContaining(['index.ts', join('connection', 'connection.ts')]));
    expect(imports.length).toBeGreaterThan(files.length);
  });

  it('leave no file outside the rooms', () => {
    expect(files.filter((file) => !(roomOf(file) in MAY_IMPORT))).toEqual([]);
  });

  it('let imports run one way', () => {
    const wrong = imports.filter(({ from, to }) => to !== undefined && !mayImport(from, to));

    expect(wrong.map(shown)).toEqual([]);
  });

  it('keep connection/ and channel/ apart', () => {
    const rooms = ['connection', 'channel'];
    const across = imports.filter(
      ({ from, to }) =>
        to !== undefined &&
        roomOf(from) !== roomOf(to) &&
        [from, to].every((file) => rooms.includes(roomOf(file))),
    );

    expect(across.map(shown)).toEqual([]);
  });

  it('close no circle', () => {
    expect(files.filter((file) => reachableFrom(file).has(file))).toEqual([]);
  });

  it("let in nothing but Node's own modules and files of lib", () => {
    const foreign = imports.filter(({ specifier, to }) => to === undefined && !isNodes(specifier));

    expect(foreign.map(shown)).toEqual([]);
  });

  it('have an ES module only in front of its own CommonJS twin', () => {
    const wrong = imports.filter(
      ({ from, specifier }) => from.endsWith('.mts') && specifier !== `./${basename(from, '.mts')}.js`,
    );

    expect(wrong.map(shown)).toEqual([]);
  });
});

describe('the wall around client', () => {
  it('lets in nothing but types, so that a page gets nothing of the server', () => {
    const loaded = ['client.ts', 'client.mts'].flatMap((file) =>
      (sources.get(file)?.statements ?? []).filter(
        (statement) =>
          (ts.isImportDeclaration(statement) &&
            statement.importClause?.phaseModifier !== ts.SyntaxKind.TypeKeyword) ||
          (ts.isExportDeclaration(statement) && !statement.isTypeOnly),
      ),
    );

    expect(loaded.map((statement) => statement.getText())).toEqual([]);
  });
});

describe('the house rules of lib', () => {
  it('no drawer for what has no place', () => {
    const drawer = /^(utils?|types?|helpers?|common|misc|shared|managers?)$/;

    expect(
      files.filter((file) =>
        file
          .replace(/\.m?ts$/, '')
          .split(/[\\/]/)
          .some((part) => drawer.test(part)),
      ),
    ).toEqual([]);
  });

  it('no any', () => {
    expect(find((node) => node.kind === ts.SyntaxKind.AnyKeyword)).toEqual([]);
  });

  it('no console', () => {
    expect(find((node) => ts.isIdentifier(node) && node.text === 'console')).toEqual([]);
  });

  it('no export *', () => {
    expect(
      find(
        (node) =>
          ts.isExportDeclaration(node) &&
          (node.exportClause === undefined || ts.isNamespaceExport(node.exportClause)),
      ),
    ).toEqual([]);
  });

  it('no default export', () => {
    expect(
      find(
        (node) =>
          ts.isExportAssignment(node) ||
          (node.kind === ts.SyntaxKind.DefaultKeyword && !ts.isDefaultClause(node.parent)) ||
          (ts.isExportSpecifier(node) && node.name.text === 'default'),
      ),
    ).toEqual([]);
  });

  it('no way around the compiler', () => {
    const around = /@ts-(ignore|nocheck|expect-error)/;

    expect(files.filter((file) => around.test(sources.get(file)?.text ?? ''))).toEqual([]);
  });
});

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(join(LIB, file), 'utf8'), ts.ScriptTarget.Latest, true);
}

/** The folder or file right below lib: the unit in which DESIGN 9 thinks. */
function roomOf(file: string): string {
  return (file.split(/[\\/]/)[0] ?? '').replace(/\.m?ts$/, '');
}

function mayImport(from: string, to: string): boolean {
  const [room, other] = [roomOf(from), roomOf(to)];
  return room === other || MAY_IMPORT[room]?.includes(other) === true;
}

/** Every way in which a file names another module: import, export from, import(), require() and import types. */
function importsOf(file: string): Import[] {
  const found: Import[] = [];
  visit(sources.get(file), (node) => {
    const specifier = specifierOf(node);
    if (specifier === undefined) return;
    found.push({ from: file, specifier, to: targetOf(file, specifier) });
  });
  return found;
}

function specifierOf(node: ts.Node): string | undefined {
  let named: ts.Node | undefined;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) named = node.moduleSpecifier;
  else if (ts.isExternalModuleReference(node)) named = node.expression;
  else if (ts.isImportTypeNode(node))
    named = ts.isLiteralTypeNode(node.argument) ? node.argument.literal : node;
  else if (ts.isCallExpression(node) && isLoading(node.expression)) named = node.arguments[0] ?? node;
  if (named === undefined) return undefined;
  return ts.isStringLiteralLike(named) ? named.text : named.getText();
}

function isLoading(callee: ts.Node): boolean {
  return (
    callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require')
  );
}

function targetOf(file: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  const path = relative(LIB, resolve(LIB, dirname(file), specifier)).replace(/\.js$/, '');
  return [`${path}.ts`, join(path, 'index.ts')].find((candidate) => files.includes(candidate));
}

function isNodes(specifier: string): boolean {
  return specifier.startsWith('node:') && isBuiltin(specifier);
}

function reachableFrom(file: string, reached = new Set<string>()): Set<string> {
  for (const { from, to } of imports) {
    if (from !== file || to === undefined || reached.has(to)) continue;
    reached.add(to);
    reachableFrom(to, reached);
  }
  return reached;
}

/** Where in lib such a piece of syntax stands. */
function find(matches: (node: ts.Node) => boolean): string[] {
  const found: string[] = [];
  for (const source of sources.values()) {
    visit(source, (node) => {
      if (!matches(node)) return;
      const { line } = source.getLineAndCharacterOfPosition(node.getStart());
      found.push(`${source.fileName}:${line + 1} ${node.getText()}`);
    });
  }
  return found;
}

function visit(node: ts.Node | undefined, see: (node: ts.Node) => void): void {
  if (node === undefined) return;
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

function shown({ from, specifier }: Import): string {
  return `${from} imports ${specifier}`;
}
