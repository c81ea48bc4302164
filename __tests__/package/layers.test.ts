import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';

const LIB = resolve(__dirname, '../../lib');

/**
 * The folders and files directly below lib, from top to bottom (DESIGN 12). Each may import what stands below it. An entry
 * point and the folder of its name are one layer.
 */
const LAYERS: readonly string[] = [
  'index',
  'sse',
  'express',
  'stream',
  'channel',
  'connection',
  'testing',
  'redis',
  'log',
  'client',
  'format',
  'source',
  'round-robin',
  'async-context',
  'synchronous',
  'lazy-timeout',
  'abort',
  'validate',
  'errors',
  'given',
];

interface Import {
  readonly from: string;
  readonly specifier: string;
  /** The imported file of lib; `undefined` for a module outside lib. */
  readonly to: string | undefined;
}

const files = readdirSync(LIB, { recursive: true, encoding: 'utf8' }).filter((file) => /\.m?ts$/.test(file));
const sources = new Map(files.map((file) => [file, parse(file)]));
const imports = files.flatMap(importsOf);

describe('the layers of lib', () => {
  it('are read from the files of lib', () => {
    expect(files).toEqual(expect.arrayContaining(['index.ts', join('connection', 'connection.ts')]));
    expect(imports.length).toBeGreaterThan(files.length);
  });

  it('include every file', () => {
    expect(files.filter((file) => !LAYERS.includes(layerOf(file)))).toEqual([]);
  });

  it('import only the layers below', () => {
    const wrong = imports.filter(({ from, to }) => to !== undefined && !mayImport(from, to));

    expect(wrong.map(shown)).toEqual([]);
  });

  it('keep connection/ and channel/ independent of each other', () => {
    const independent = ['connection', 'channel'];
    const across = imports.filter(
      ({ from, to }) =>
        to !== undefined &&
        layerOf(from) !== layerOf(to) &&
        [from, to].every((file) => independent.includes(layerOf(file))),
    );

    expect(across.map(shown)).toEqual([]);
  });

  it('have no import cycle', () => {
    expect(files.filter((file) => reachableFrom(file).has(file))).toEqual([]);
  });

  it("import only Node's own modules and files of lib", () => {
    const foreign = imports.filter(({ specifier, to }) => to === undefined && !isNodes(specifier));

    expect(foreign.map(shown)).toEqual([]);
  });

  it('have ES modules that only re-export their CommonJS twin', () => {
    const wrong = imports.filter(
      ({ from, specifier }) => from.endsWith('.mts') && specifier !== `./${basename(from, '.mts')}.js`,
    );

    expect(wrong.map(shown)).toEqual([]);
  });
});

describe('the client entry point', () => {
  it('imports only types, so that a page bundles no server code', () => {
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

describe('the rules of lib', () => {
  it('no catch-all file or folder names', () => {
    const catchAll = /^(utils?|types?|helpers?|common|misc|shared|managers?)$/;

    expect(
      files.filter((file) =>
        file
          .replace(/\.m?ts$/, '')
          .split(/[\\/]/)
          .some((part) => catchAll.test(part)),
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

  it('no suppressed compiler errors', () => {
    const suppression = /@ts-(ignore|nocheck|expect-error)/;

    expect(files.filter((file) => suppression.test(sources.get(file)?.text ?? ''))).toEqual([]);
  });
});

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(join(LIB, file), 'utf8'), ts.ScriptTarget.Latest, true);
}

/** The folder or file directly below lib. */
function layerOf(file: string): string {
  return (file.split(/[\\/]/)[0] ?? '').replace(/\.m?ts$/, '');
}

function mayImport(from: string, to: string): boolean {
  return LAYERS.indexOf(layerOf(from)) <= LAYERS.indexOf(layerOf(to));
}

/** Every kind of import: import, export from, import(), require() and import types. */
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

/** Each place in lib with such a node. */
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
