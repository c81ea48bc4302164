import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { resolveChannelOptions, resolveRunOptions } from '../../lib/channel/options';
import { resolveMemoryLogOptions } from '../../lib/log/options';
import { resolveSseOptions } from '../../lib/stream/options';

jest.setTimeout(120_000);

const PROGRAM = join(__dirname, '../support/polluted-program.ts');

/** Every option, and every field, detail and record property that may be omitted; `end` breaks Node's own streams. */
const NAMES = [
  ...new Set([
    ...Object.keys(resolveSseOptions()),
    ...Object.keys(resolveChannelOptions(undefined)),
    ...Object.keys(resolveRunOptions(undefined)),
    ...Object.keys(resolveMemoryLogOptions(undefined)),
    ...['id', 'retry', 'comment', 'type', 'data', 'kind', 'serialized'],
    ...['status', 'statusCode', 'code', 'log', 'lastEventId', 'window', 'cacheSize', 'gap', 'entries'],
    ...['enumerable', 'anything'],
  ]),
].filter((name) => name !== 'end');

describe('what stands on Object.prototype', () => {
  const observed = new Map<string, Set<string>>();

  beforeAll(() => {
    const command = ['--import', 'tsx', PROGRAM, ...NAMES];
    const output = execFileSync(process.execPath, command, { encoding: 'utf8' });
    for (const line of output.trim().split('\n')) {
      const [name, result] = JSON.parse(line) as [string, unknown];
      observed.set(name, (observed.get(name) ?? new Set()).add(JSON.stringify(result)));
    }
  });

  it.each(NAMES)('changes no stream, channel or error: %s', (name) => {
    expect([...(observed.get(name) ?? [])]).toEqual([...(observed.get('') ?? [])]);
  });
});
