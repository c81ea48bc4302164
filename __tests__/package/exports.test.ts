import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import * as entryPoint from '../../lib/index';

const VALUES = [
  'Channel',
  'ServerSentEvent',
  'SseError',
  'comment',
  'createRuns',
  'createSse',
  'encode',
  'event',
  'memoryLog',
  'sse',
];

const TYPES = [
  'AbortCode',
  'AnyHandler',
  'Awaitable',
  'ChannelEvent',
  'ChannelOptions',
  'CloseOptions',
  'DataOf',
  'EventFields',
  'EventLog',
  'EventOf',
  'EventRecord',
  'Events',
  'Filter',
  'Format',
  'Gap',
  'GapEvent',
  'LeaseGrant',
  'LeaseObservation',
  'LeaseObserver',
  'LeasePurpose',
  'LeaseRequest',
  'LeaseState',
  'LeaseTerms',
  'LogEntry',
  'LogHead',
  'LogLease',
  'LogPage',
  'LogSubscriber',
  'LogSubscription',
  'LogWindow',
  'Mapper',
  'MemoryLogOptions',
  'Next',
  'OpenStream',
  'PublishOptions',
  'Publishable',
  'RunContext',
  'RunFunction',
  'RunOptions',
  'RunSource',
  'RunningRun',
  'Runs',
  'RunsCloseOptions',
  'RunsOptions',
  'Serialize',
  'Sse',
  'SseContext',
  'SseErrorCode',
  'SseErrorDetails',
  'SseHandler',
  'SseMiddleware',
  'SseOptions',
  'StartOptions',
  'StreamEnd',
  'StreamRecord',
  'StreamingHandler',
  'Subscribable',
  'Subscriber',
  'Subscription',
  'Yielded',
];

describe('express-yield', () => {
  it('exports exactly the values of DESIGN 2', () => {
    expect(Object.keys(entryPoint).sort()).toEqual(VALUES);
  });

  it.each(['index.ts', 'index.mts'])('lists these values in %s', (file) => {
    expect(exportsOf(file).values).toEqual(VALUES);
  });

  it.each(['index.ts', 'index.mts'])('lists their types in %s', (file) => {
    expect(exportsOf(file).types).toEqual(TYPES);
  });

  it.each(['index.ts', 'index.mts'])('contains only exports in %s', (file) => {
    expect(statementsOf(file).filter((statement) => !ts.isExportDeclaration(statement))).toEqual([]);
  });

  it('loads the CommonJS build for import as well', () => {
    const from = statementsOf('index.mts').map((statement) =>
      ts.isExportDeclaration(statement) ? statement.moduleSpecifier?.getText() : undefined,
    );

    expect(new Set(from)).toEqual(new Set(["'./index.js'"]));
  });
});

function statementsOf(file: string): readonly ts.Statement[] {
  const text = readFileSync(join(__dirname, '../../lib', file), 'utf8');
  return ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true).statements;
}

/** The names of the exports of a file, sorted. */
function exportsOf(file: string): { values: string[]; types: string[] } {
  const names = statementsOf(file).flatMap((statement) => {
    if (!ts.isExportDeclaration(statement)) return [];
    if (statement.exportClause === undefined || !ts.isNamedExports(statement.exportClause)) return [];
    return statement.exportClause.elements.map(({ name, isTypeOnly }) => ({
      name: name.text,
      isType: statement.isTypeOnly || isTypeOnly,
    }));
  });
  const sorted = (isType: boolean) =>
    names
      .filter((entry) => entry.isType === isType)
      .map(({ name }) => name)
      .sort();
  return { values: sorted(false), types: sorted(true) };
}
