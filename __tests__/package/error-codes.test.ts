import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { SECTIONS } from '../support/documented-code';

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

describe('docs/error-codes.md', () => {
  it('has a section or a row for each code in lib, and no other', () => {
    const reasons = [...read('docs/error-codes.md').matchAll(/^\| `(ERR_SSE_\w+)` \|/gm)].map(
      ([, code]) => code,
    );

    expect([...SECTIONS.map(({ code }) => code), ...reasons].sort()).toEqual(codesOfLib());
  });

  it('shows a mistake and its cure for each code, except for a server that cannot be reached', () => {
    const page = read('docs/error-codes.md').split(/^### /m).slice(1);
    const without = page.filter((text) => [...text.matchAll(/^```\w+\n/gm)].length < 2);

    expect(without.map((text) => text.split('\n', 1)[0])).toEqual(['SSE_REDIS_LOST']);
  });
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
  });
});

it.each(['docs/error-codes.md', 'docs/troubleshooting.md'])('%s links only to what exists', (page) => {
  expect(brokenLinksOf(page)).toEqual([]);
});
