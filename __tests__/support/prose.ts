import ts from 'typescript';

/** A line of prose with its number in the file. */
export interface ProseLine {
  readonly line: number;
  readonly text: string;
}

/** Consecutive lines. Searched as one text, so that a phrase is found across a line break. */
export type Passage = readonly ProseLine[];

const FENCE = /^\s*(```|~~~)/;
const TITLED = /^(describe\w*|it|test)$/;
const WORD = /[\p{L}\p{N}][\p{L}\p{N}'’-]*/gu;

/** The prose of a Markdown file: everything except code, HTML tags and link targets. */
export function markdownProse(text: string): Passage[] {
  let isFenced = false;
  const lines = text.split('\n').map((line, index) => {
    const isFence = FENCE.test(line);
    if (isFence) isFenced = !isFenced;
    const prose = isFenced || isFence ? '' : line.replace(/<[^>]*>/g, ' ').replace(/\]\([^)]*\)/g, '] ');
    return { line: index + 1, text: withoutCode(prose) };
  });
  return paragraphs(lines);
}

/** The comments of a TypeScript file, except code and `@example` blocks. */
export function commentsIn(source: ts.SourceFile): Passage[] {
  const ranges = new Map<number, ts.CommentRange>();
  const collect = (node: ts.Node): void => {
    for (const range of commentsAround(source, node)) ranges.set(range.pos, range);
    for (const child of node.getChildren(source)) if (!ts.isJSDoc(child)) collect(child);
  };
  collect(source);
  const sorted = [...ranges.values()].sort((a, b) => a.pos - b.pos);
  return paragraphs(sorted.flatMap((range) => commentLines(source, range)));
}

/** The string and template literals of at least two words, such as error messages and warnings. */
export function messagesIn(source: ts.SourceFile): Passage[] {
  const messages: Passage[] = [];
  const collect = (node: ts.Node): void => {
    const text = literalText(node);
    if (text !== undefined && /\p{L}\S*\s+\p{L}/u.test(text)) messages.push([proseLine(source, node, text)]);
    ts.forEachChild(node, collect);
  };
  collect(source);
  return messages;
}

/** The titles of a test file, including the strings in the table of an `each`. */
export function titlesIn(source: ts.SourceFile): Passage[] {
  const titles: Passage[] = [];
  const collect = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && !isEach(node) && TITLED.test(calledName(node.expression) ?? '')) {
      const table = ts.isCallExpression(node.expression) ? node.expression.arguments : [];
      titles.push(...[...node.arguments.slice(0, 1), ...table].flatMap((part) => stringsIn(source, part)));
    }
    ts.forEachChild(node, collect);
  };
  collect(source);
  return titles;
}

/** The words of all identifiers of a file, in lower case: `requestHandler` consists of `request` and `handler`. */
export function identifierWords(source: ts.SourceFile): ProseLine[] {
  const words: ProseLine[] = [];
  const collect = (node: ts.Node): void => {
    if (ts.isIdentifier(node) || ts.isPrivateIdentifier(node)) {
      const parts = node.text.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+/g) ?? [];
      words.push(...parts.map((part) => proseLine(source, node, part.toLowerCase())));
    }
    ts.forEachChild(node, collect);
  };
  collect(source);
  return words;
}

export function countWords(passages: readonly Passage[]): number {
  return passages.flat().reduce((sum, { text }) => sum + (text.match(WORD)?.length ?? 0), 0);
}

/** Every match of a global pattern, with the line on which it starts. */
export function matchesIn(passage: Passage, pattern: RegExp): ProseLine[] {
  const text = passage.map((line) => line.text).join('\n');
  return [...text.matchAll(pattern)].map((match) => {
    const index = text.slice(0, match.index).split('\n').length - 1;
    return { line: passage[index]?.line ?? 0, text: match[0].replace(/\s+/g, ' ') };
  });
}

function commentsAround(source: ts.SourceFile, node: ts.Node): ts.CommentRange[] {
  return [
    ...(ts.getLeadingCommentRanges(source.text, node.pos) ?? []),
    ...(ts.getTrailingCommentRanges(source.text, node.end) ?? []),
  ];
}

function commentLines(source: ts.SourceFile, { pos, end }: ts.CommentRange): ProseLine[] {
  const first = source.getLineAndCharacterOfPosition(pos).line + 1;
  let isExample = false;
  let isFenced = false;
  const lines = source.text.slice(pos, end).split('\n');
  return lines.map((raw, index) => {
    const text = raw.replace(/^\s*(\/\*+|\*+\/|\*|\/\/)/, '').replace(/\*\/$/, '');
    const [, tag] = /^\s*@(\w+)/.exec(text) ?? [];
    if (tag !== undefined) isExample = tag === 'example';
    const isFence = FENCE.test(text);
    if (isFence) isFenced = !isFenced;
    const isCode = isExample || isFenced || isFence || text.startsWith(' biome-ignore');
    return { line: first + index, text: isCode ? '' : withoutCode(text) };
  });
}

/** Splits at empty lines and at gaps in the line numbers. */
function paragraphs(lines: readonly ProseLine[]): Passage[] {
  const passages: ProseLine[][] = [];
  let previous = 0;
  for (const line of lines) {
    if (line.text.trim() === '') continue;
    if (passages.length > 0 && line.line === previous + 1) passages.at(-1)?.push(line);
    else passages.push([line]);
    previous = line.line;
  }
  return passages;
}

/** Replaces inline code, links and URLs by a placeholder that is neither a word nor a space. */
function withoutCode(text: string): string {
  return text
    .replace(/(`+).*?\1/g, '·')
    .replace(/\{@link[^}]*\}/g, '·')
    .replace(/\bhttps?:\S+/g, '·');
}

function literalText(node: ts.Node): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return undefined;
  return [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join('·');
}

/** A text of several lines counts as one, at the line where the node starts. */
function proseLine(source: ts.SourceFile, node: ts.Node, text: string): ProseLine {
  const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
  return { line: line + 1, text: text.replace(/\s+/g, ' ') };
}

/** The literals within an expression, except those within functions. */
function stringsIn(source: ts.SourceFile, node: ts.Node): Passage[] {
  const text = literalText(node);
  if (text !== undefined) return [[proseLine(source, node, withoutCode(text))]];
  const strings: Passage[] = [];
  ts.forEachChild(node, (child) => {
    if (!ts.isFunctionLike(child)) strings.push(...stringsIn(source, child));
  });
  return strings;
}

function isEach({ expression }: ts.CallExpression): boolean {
  return ts.isPropertyAccessExpression(expression) && expression.name.text === 'each';
}

/** `it` for `it(…)`, `it.skip(…)` and `it.each(…)(…)`. */
function calledName(expression: ts.Expression): string | undefined {
  if (ts.isIdentifier(expression)) return expression.text;
  if (!ts.isCallExpression(expression) && !ts.isPropertyAccessExpression(expression)) return undefined;
  return calledName(expression.expression);
}
