import { join, resolve } from 'node:path';
import ts from 'typescript';

const ROOT = resolve(__dirname, '../..');

export const ENTRIES = ['index', 'client', 'redis', 'testing'] as const;
export type Entry = (typeof ENTRIES)[number];

/** One export of an entry point. */
export interface Exported {
  readonly entry: Entry;
  readonly name: string;
  readonly isType: boolean;
  /** Whether the export itself has an example. */
  readonly hasExample: boolean;
  /** The examples of the export and of its members. */
  readonly examples: readonly string[];
}

const program = ts.createProgram(
  ENTRIES.map((entry) => join(ROOT, `lib/${entry}.ts`)),
  { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.Node20, types: ['node'], strict: true },
);
const checker = program.getTypeChecker();

/** The exports of an entry point, with the examples of their docstrings. */
export function exportsOf(entry: Entry): Exported[] {
  const source = program.getSourceFile(join(ROOT, `lib/${entry}.ts`));
  const module = source && checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`lib/${entry}.ts is not a module.`);
  return checker.getExportsOfModule(module).map((symbol) => exported(entry, symbol));
}

function exported(entry: Entry, alias: ts.Symbol): Exported {
  const isAlias = (alias.flags & ts.SymbolFlags.Alias) !== 0;
  const symbol = isAlias ? checker.getAliasedSymbol(alias) : alias;
  return {
    entry,
    name: alias.name,
    isType: (symbol.flags & ts.SymbolFlags.Value) === 0,
    hasExample: symbol.getJsDocTags(checker).some(({ name }) => name === 'example'),
    examples: [...new Set((symbol.declarations ?? []).flatMap(examplesIn))],
  };
}

function examplesIn(node: ts.Node): string[] {
  const own = ts.getAllJSDocTags(node, (tag): tag is ts.JSDocTag => tag.tagName.text === 'example');
  const examples = own.map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? '');
  node.forEachChild((child) => {
    examples.push(...examplesIn(child));
  });
  return examples;
}

/** The imports that examples may use, besides the package and their own imports. */
const HEADER = `
import http, { type RequestListener } from 'node:http';
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import request from 'supertest';
`;

/**
 * An example as a module: a generator function (an example may yield) whose parameter has the variables of the example.
 *
 * @param all the exports of the package
 * @param world the path of the module that exports `World`
 */
export function moduleOf(example: string, all: readonly Exported[], world: string): string {
  const lines = example.split('\n');
  const imports = lines.filter((line) => line.startsWith('import '));
  const body = lines.filter((line) => !line.startsWith('import ')).join('\n');
  return `${HEADER}${ENTRIES.map((entry) => importOf(entry, all)).join('')}${imports.join('\n')}
import type { Halt, Price, World } from ${JSON.stringify(world)};
export async function* run({ app, server, log, prices, lastEventId, client, logs, ...more }: World): AsyncGenerator<unknown, unknown> {
  const { snapshot, rows, work, report, market, userOf } = more;
  {
${body}
  }
  return [http, express, Redis, createClient, request];
}
`;
}

function importOf(entry: Entry, all: readonly Exported[]): string {
  const names = all
    .filter((one) => one.entry === entry && !(entry === 'redis' && one.name === 'EventLog'))
    .map(({ name, isType }) => (isType ? `type ${name}` : name));
  return `import { ${names.join(', ')} } from 'express-yield${entry === 'index' ? '' : `/${entry}`}';\n`;
}
