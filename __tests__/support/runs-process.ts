/**
 * One of several processes that run and watch the same runs, and that are killed or stopped without warning:
 * `runs-process.ts <client> <redis port> <leaseMs>`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Channel, createRuns, type RunContext } from '../../lib';
import { redisLogs } from '../../lib/redis';
import { CLIENTS } from './redis';

/** The commands of the parent process. */
export type RunsCommand =
  | { readonly kind: 'start'; readonly key: string; readonly takeover: boolean }
  | { readonly kind: 'find'; readonly key: string };

/** The messages to the parent process. Each `at` is a time in milliseconds since 1970. */
export type RunsMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'joined'; readonly key: string }
  /** The source is about to yield this number. */
  | { readonly kind: 'yields'; readonly key: string; readonly n: number; readonly at: number }
  | { readonly kind: 'aborted'; readonly key: string; readonly code: unknown; readonly at: number }
  | { readonly kind: 'received'; readonly key: string; readonly data: string; readonly at: number }
  /** The subscription has ended: with the code of its error, or with its value. */
  | { readonly kind: 'ended'; readonly key: string; readonly outcome: string; readonly at: number }
  | { readonly kind: 'incident'; readonly text: string };

/** The numbers that a source yields after it has taken a run over. */
const REST = 10;

function report(message: RunsMessage): void {
  process.send?.(message);
}

process.on('unhandledRejection', (error) =>
  report({ kind: 'incident', text: `unhandledRejection ${String(error)}` }),
);
process.on('uncaughtException', (error) =>
  report({ kind: 'incident', text: `uncaughtException ${error.stack}` }),
);
process.on('disconnect', () => process.exit());

/** Counts, with the id of the process; for ever in its first process. */
function counting(key: string) {
  return async function* ({ signal, lastEvent }: RunContext) {
    signal.addEventListener('abort', () =>
      report({ kind: 'aborted', key, code: signal.reason.code, at: Date.now() }),
    );
    const first = Number(String(lastEvent?.data ?? '0').split(' ')[0]) + 1;
    for (let n = first; lastEvent === undefined || n < first + REST; n++) {
      report({ kind: 'yields', key, n, at: Date.now() });
      yield `${n} ${process.pid}`;
      await sleep(10, undefined, { signal });
    }
    return 'done';
  };
}

async function read(key: string, channel: Channel<string> | undefined): Promise<void> {
  const subscription = channel?.subscribe();
  if (subscription === undefined) return report({ kind: 'incident', text: `no run with the key ${key}` });
  report({ kind: 'joined', key });
  try {
    for (;;) {
      const { done, value } = await subscription.next();
      const at = Date.now();
      if (done) return report({ kind: 'ended', key, outcome: String(value), at });
      report({ kind: 'received', key, data: value.type === 'gap' ? 'gap' : String(value.data), at });
    }
  } catch (error) {
    report({ kind: 'ended', key, outcome: String((error as { code?: unknown }).code), at: Date.now() });
  }
}

async function main(): Promise<void> {
  const [, , name, port, leaseMs] = process.argv;
  const [, connect] = CLIENTS.find(([client]) => client === name) ?? [];
  if (connect === undefined) throw new Error(`Expected a client, got ${name}.`);
  const { client } = await connect(Number(port));
  const logs = redisLogs(client);
  const runs = createRuns<string>({
    logs: (key) => logs(key, { maxEvents: 10_000 }),
    leaseMs: Number(leaseMs),
  });
  process.on('message', async (command: RunsCommand) => {
    const { key } = command;
    const channel =
      command.kind === 'find'
        ? await runs.find(key)
        : await runs.start(key, counting(key), { takeover: command.takeover });
    await read(key, channel);
  });
  report({ kind: 'ready' });
}

void main();
