import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';

const TESTS = resolve(__dirname, '..');

/**
 * The tests that fail with a defect: `file › describe › title`, as written in the sources. `title ← case` names one string
 * or number in the table of its `each`, so that this row cannot be removed unnoticed. A suite that another file registers is
 * named by the call: `file › describeSuite(argument) › title`.
 */
export type Proof = string | readonly string[];

/** {@link Proof} of some rows of the table of a test. */
export function rowsOf(title: string, ...cases: readonly string[]): string[] {
  return cases.map((each) => title + CASE + each);
}

const CASE = ' ← ';

/** All tests of this project, as written in their sources. */
export class WrittenTests {
  /** By title: the strings in the tables of the test and of its `describe`s. */
  readonly #cases = new Map<string, Set<string>>();

  static read(): WrittenTests {
    const tests = new WrittenTests();
    const files = readdirSync(TESTS, { recursive: true, encoding: 'utf8' });
    for (const file of files) {
      const isTest = file.endsWith('.test.ts') && !file.includes('node_modules');
      if (isTest) tests.#readFile(file);
    }
    return tests;
  }

  get titles(): Iterable<string> {
    return this.#cases.keys();
  }

  /** Those of the tests that do not exist, or whose table has no such row. */
  missing(proof: Proof): string[] {
    return [proof].flat().filter((named) => {
      const [title = '', row] = named.split(CASE);
      const cases = this.#cases.get(title);
      return cases === undefined || (row !== undefined && !cases.has(row));
    });
  }

  #readFile(file: string): void {
    const source = SourceFile.of(join(TESTS, file));
    const path = file.replaceAll('\\', '/').replace(/\.test\.ts$/, '');
    this.#visit(source.node, { source, path, cases: [] });
  }

  #visit(node: ts.Node, place: Place): void {
    if (!ts.isCallExpression(node)) {
      ts.forEachChild(node, (child) => this.#visit(child, place));
      return;
    }
    const suite = suiteOf(node, place.source);
    const named = namedCall(node);
    if (suite !== undefined) this.#visit(suite.body, suite.placeIn(place));
    else if (named === undefined) ts.forEachChild(node, (child) => this.#visit(child, place));
    else this.#visitNamed(named, place);
  }

  #visitNamed({ name, title, table, body }: NamedCall, { source, path, cases }: Place): void {
    const inner = {
      source,
      path: `${path} › ${title}`,
      cases: [...cases, ...(table === undefined ? [] : source.stringsIn(table))],
    };
    if (name === 'describe') this.#visit(body, inner);
    else this.#cases.set(inner.path, new Set([...(this.#cases.get(inner.path) ?? []), ...inner.cases]));
  }
}

/** Where a test is registered. */
interface Place {
  readonly source: SourceFile;
  readonly path: string;
  /** The strings in the tables around it. */
  readonly cases: readonly string[];
}

/** `it('…', …)`, `describe('…', …)`, or one of these with a table. */
interface NamedCall {
  readonly name: 'it' | 'describe';
  readonly title: string;
  readonly table: ts.Expression | undefined;
  readonly body: ts.Expression;
}

function namedCall({ expression, arguments: [titled, body] }: ts.CallExpression): NamedCall | undefined {
  const title = titled === undefined ? undefined : textOf(titled);
  if (title === undefined || body === undefined) return undefined;
  const table = tableOf(expression);
  const callee = table === undefined ? expression : calleeOfEach(expression);
  const name = callee !== undefined && ts.isIdentifier(callee) ? callee.text : undefined;
  return name === 'it' || name === 'describe' ? { name, title, table, body } : undefined;
}

/** The table of `it.each(table)`, but not for a skipped test. */
function tableOf(expression: ts.Expression): ts.Expression | undefined {
  return calleeOfEach(expression) && ts.isCallExpression(expression) ? expression.arguments[0] : undefined;
}

function calleeOfEach(expression: ts.Expression): ts.Expression | undefined {
  if (!ts.isCallExpression(expression)) return undefined;
  const { expression: each } = expression;
  return ts.isPropertyAccessExpression(each) && each.name.text === 'each' ? each.expression : undefined;
}

/** The text of a string; of a template with expressions, its source. */
function textOf(node: ts.Node): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text;
  return ts.isTemplateExpression(node) ? node.getText().slice(1, -1) : undefined;
}

/** A function that registers tests, and the call that names it. */
interface Suite {
  readonly body: ts.Block;
  placeIn(place: Place): Place;
}

/** The suite that a call such as `describeFetchClient(CHAT, matrix)` registers. */
function suiteOf({ expression, arguments: given }: ts.CallExpression, caller: SourceFile): Suite | undefined {
  if (!ts.isIdentifier(expression) || !/^describe[A-Z]/.test(expression.text)) return undefined;
  const [first] = given;
  if (first === undefined || given.some(ts.isFunctionLike)) return undefined;
  const found = caller.functionNamed(expression.text);
  if (found === undefined) return undefined;
  const cases = caller.stringsIn(first);
  const label = ts.isIdentifier(first) ? first.text : (cases[0] ?? first.getText());
  return {
    body: found.body,
    placeIn: (place) => ({
      source: found.source,
      path: `${place.path} › ${expression.text}(${label})`,
      cases: [...place.cases, ...cases],
    }),
  };
}

const sources = new Map<string, SourceFile>();

/** A file of TypeScript whose declarations can be found by their names. */
class SourceFile {
  readonly node: ts.SourceFile;
  readonly #declarations = new Map<string, ts.Node>();
  readonly #imports = new Map<string, string>();
  readonly #path: string;

  static of(path: string): SourceFile {
    const known = sources.get(path) ?? new SourceFile(path);
    sources.set(path, known);
    return known;
  }

  private constructor(path: string) {
    this.#path = path;
    this.node = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
    this.#declare(this.node);
  }

  /** A function that is declared or imported here. */
  functionNamed(name: string): { readonly source: SourceFile; readonly body: ts.Block } | undefined {
    const declared = this.#declarations.get(name);
    if (declared !== undefined && ts.isFunctionDeclaration(declared) && declared.body !== undefined) {
      return { source: this, body: declared.body };
    }
    return this.#importOf(name)?.functionNamed(name);
  }

  /** The strings and numbers of a table, and of the constants that it names; not those in functions. */
  stringsIn(node: ts.Node, seen = new Set<ts.Node>()): string[] {
    if (seen.has(node) || ts.isFunctionLike(node)) return [];
    seen.add(node);
    const text = ts.isNumericLiteral(node) ? node.text : textOf(node);
    if (text !== undefined) return [text];
    if (ts.isIdentifier(node)) return this.#stringsNamed(node.text, seen);
    const all: string[] = [];
    ts.forEachChild(node, (child) => void all.push(...this.stringsIn(child, seen)));
    return all;
  }

  #stringsNamed(name: string, seen: Set<ts.Node>): string[] {
    const declared = this.#declarations.get(name);
    if (declared !== undefined) return this.stringsIn(declared, seen);
    const imported = this.#importOf(name);
    return imported === undefined ? [] : imported.#stringsNamed(name, seen);
  }

  #importOf(name: string): SourceFile | undefined {
    const path = this.#imports.get(name);
    return path === undefined ? undefined : SourceFile.of(path);
  }

  #declare(node: ts.Node): void {
    if (ts.isFunctionDeclaration(node) && node.name !== undefined) this.#add(node.name.text, node);
    else if (ts.isVariableDeclaration(node)) this.#declareVariable(node);
    else if (ts.isImportDeclaration(node)) this.#declareImport(node);
    ts.forEachChild(node, (child) => this.#declare(child));
  }

  /** The value of a constant, or the list from which a loop takes it. */
  #declareVariable({ name, initializer, parent }: ts.VariableDeclaration): void {
    const loop = parent.parent;
    const value = ts.isForOfStatement(loop) && loop.initializer === parent ? loop.expression : initializer;
    if (ts.isIdentifier(name) && value !== undefined) this.#add(name.text, value);
  }

  #declareImport({ importClause, moduleSpecifier }: ts.ImportDeclaration): void {
    const bindings = importClause?.namedBindings;
    if (bindings === undefined || !ts.isNamedImports(bindings) || !ts.isStringLiteral(moduleSpecifier))
      return;
    const path = `${join(dirname(this.#path), moduleSpecifier.text)}.ts`;
    if (!moduleSpecifier.text.startsWith('.') || !existsSync(path)) return;
    for (const { name } of bindings.elements) this.#imports.set(name.text, path);
  }

  #add(name: string, declared: ts.Node): void {
    if (!this.#declarations.has(name)) this.#declarations.set(name, declared);
  }
}
