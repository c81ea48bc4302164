import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

const ROOT = join(__dirname, '../..');

/** The files of code, and the pages with blocks of code. */
const FILES = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  .map((file) => `docs/${file.replaceAll('\\', '/')}`)
  .filter((file) => /\.(ts|mts|tsx|md)$/.test(file) && !file.startsWith('docs/api/'))
  .concat('README.md', 'demo/memory.ts')
  .filter((file) => readFileSync(join(ROOT, file), 'utf8').includes('.publish('));

/** The code of a file, or that of each block of a page. */
function codeOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  if (!file.endsWith('.md')) return [text];
  return [...text.matchAll(/^```(?:js|ts|tsx|mts)\n(.*?)^```$/gms)].map(([, code = '']) => code);
}

/** The calls of `publish()`, and of the functions that return its promise, whose rejection nothing handles. */
function unhandledIn(code: string): string[] {
  const source = ts.createSourceFile('code.tsx', code, ts.ScriptTarget.Latest, true);
  const calls: ts.CallExpression[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) calls.push(node);
    ts.forEachChild(node, visit);
  };
  visit(source);
  const publishes = calls.filter(({ expression }) => isPublish(expression));
  const names = new Set(publishes.map(returnedBy).filter((name) => name !== undefined));
  const indirect = calls.filter(({ expression }) => names.has(expression.getText()));
  return [...publishes.filter((call) => returnedBy(call) === undefined), ...indirect]
    .filter((call) => !isHandled(call))
    .map((call) => call.getText());
}

function isPublish(callee: ts.Expression): boolean {
  return ts.isPropertyAccessExpression(callee) && callee.name.text === 'publish';
}

/** The name of the constant `() => channel.publish(…)`. */
function returnedBy({ parent }: ts.CallExpression): string | undefined {
  const isNamed = ts.isArrowFunction(parent) && ts.isVariableDeclaration(parent.parent);
  return isNamed ? parent.parent.name.getText() : undefined;
}

function isHandled({ parent }: ts.CallExpression): boolean {
  const isCaught = ts.isPropertyAccessExpression(parent) && parent.name.text === 'catch';
  return isCaught || ts.isAwaitExpression(parent) || ts.isReturnStatement(parent);
}

describe('the promise of publish() in the README, the recipes and the demo', () => {
  it.each(FILES)('is awaited, returned or caught, because a rejection would end the process: %s', (file) => {
    expect(codeOf(file).flatMap(unhandledIn)).toEqual([]);
  });

  it('is looked for in the README, in pages and in files', () => {
    expect(FILES).toEqual(expect.arrayContaining(['README.md', 'docs/error-codes.md', 'docs/dashboard.ts']));
  });

  it.each([
    'channel.publish(1);',
    'void channel.publish(1);',
    'setInterval(() => channel.publish(1), 500);',
    'const tick = () => channel.publish(1); setInterval(tick, 500); setInterval(() => tick(), 500);',
  ])('is found where nothing handles it: %s', (code) => {
    expect(unhandledIn(code)).toHaveLength(1);
  });

  it.each([
    'await channel.publish(1);',
    'channel.publish(1).catch(console.error);',
    'function tick() { return channel.publish(1); }',
    'const tick = () => channel.publish(1); tick().catch(console.error);',
  ])('may be handled as in: %s', (code) => {
    expect(unhandledIn(code)).toEqual([]);
  });
});
