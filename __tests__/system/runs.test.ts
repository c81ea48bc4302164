import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { redisLogs } from '../../lib/redis';
import { CLIENTS, type Connected, describeWithRedis, type RedisServer } from '../support/redis';
import type { RunsCommand, RunsMessage } from '../support/runs-process';

/** The runners that are killed or stopped, for each client. */
const FAULTS = Number(process.env.RUN_KILLS ?? 10);

/** The groups of three processes that work side by side. */
const GROUPS = Number(process.env.RUN_GROUPS ?? 2);

const LEASE_MS = 3_000;

/** Within it, the subscribers of a run have the failure or the continuation. */
const LIMIT_MS = LEASE_MS + 1_000;

jest.setTimeout(60_000 + FAULTS * 10_000);

type Of<Kind extends RunsMessage['kind']> = Extract<RunsMessage, { readonly kind: Kind }>;

/** A child process that can be killed, stopped and replaced. Keeps what it has reported. */
class Worker {
  readonly messages: RunsMessage[] = [];
  readonly #args: readonly string[];
  #process!: ChildProcess;
  #closed!: Promise<unknown>;
  #onMessage: () => void = () => undefined;

  constructor(args: readonly string[]) {
    this.#args = args;
  }

  async start(): Promise<void> {
    const file = join(__dirname, '../support', 'runs-process.ts');
    this.messages.length = 0;
    this.#process = fork(file, this.#args, { execArgv: ['--no-warnings', '--import', 'tsx'] });
    // Not 'exit': its last messages may not have arrived yet.
    this.#closed = once(this.#process, 'close');
    this.#process.on('message', (message: RunsMessage) => {
      this.messages.push(message);
      this.#onMessage();
    });
    await this.until(() => this.messages.some(({ kind }) => kind === 'ready'));
  }

  send(command: RunsCommand): void {
    this.#process.send(command);
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Ends the process with `kill -9`. */
  async end(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#closed;
  }

  of<Kind extends RunsMessage['kind']>(kind: Kind, key: string): Array<Of<Kind>> {
    return this.messages.filter(
      (message): message is Of<Kind> => message.kind === kind && 'key' in message && message.key === key,
    );
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#onMessage = resolve;
      });
    }
  }
}

/** What the faults have shown. */
class Tally {
  killed = 0;
  stopped = 0;
  failed = 0;
  continued = 0;
  /** Milliseconds from the fault to the failure, or to the first event of the next source, for each subscriber. */
  readonly delays: number[] = [];
  /** Entries that follow the end of a run, or that are not in order. */
  readonly wrongEntries: string[] = [];
  /**
   * Steps of a source that has lost its lease, after another process has started it. A process that wakes up may be in the
   * middle of one, which nothing can prevent; its value is not published.
   */
  readonly doubleYields: string[] = [];
  readonly incidents: string[] = [];

  get row(): string[] {
    const sorted = this.delays.sort((a, b) => a - b);
    const late = sorted.filter((delay) => delay > LIMIT_MS);
    const percentile = (p: number) => String(sorted[Math.floor((sorted.length - 1) * p)]);
    const counts = [this.killed, this.stopped, this.failed, this.continued, sorted.length, late.length];
    const wrong = [this.wrongEntries.length, this.doubleYields.length];
    return [...counts.map(String), percentile(0.5), percentile(1), ...wrong.map(String)];
  }
}

const rows: string[][] = [
  ['client', 'kill -9', 'SIGSTOP', 'failed', 'continued', 'subscribers', 'late', 'median ms', 'max ms', 'wrong entries', 'run twice'], // biome-ignore format: one line
];

afterAll(() => {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | '));
  process.stdout.write(`\n${lines.join('\n')}\n\n`);
});

/** Three processes. In each round, one runs a source, one could take over, and one only subscribes. */
class Group {
  readonly #name: string;
  readonly #workers: Worker[];
  readonly #tally: Tally;
  readonly #dataOf: (key: string) => Promise<string[]>;

  constructor(name: string, args: string[], tally: Tally, dataOf: (key: string) => Promise<string[]>) {
    this.#name = name;
    this.#workers = [0, 1, 2].map(() => new Worker(args));
    this.#tally = tally;
    this.#dataOf = dataOf;
  }

  async start(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.start()));
  }

  async end(): Promise<void> {
    this.#workers.forEach((worker) => void worker.signal('SIGCONT'));
    await Promise.all(this.#workers.map((worker) => worker.end()));
  }

  async round(round: number): Promise<void> {
    const key = `${this.#name}-${round}`;
    const [isStop, takeover] = [round % 4 > 1, round % 2 === 1];
    const [runner, heir, watcher] = [0, 1, 2].map((n) => this.#workers[(n + round) % 3]) as [
      Worker,
      Worker,
      Worker,
    ];
    await this.#begin(key, [runner, heir, watcher], takeover);
    await sleep(Math.random() * 1_500 + (takeover ? 1_000 : 0));
    runner.signal(isStop ? 'SIGSTOP' : 'SIGKILL');
    const since = Date.now();
    const ended = (worker: Worker) => worker.until(() => worker.of('ended', key).length > 0);
    await Promise.all([ended(heir), ended(watcher)]);
    this.#note(key, since, [heir, watcher], takeover);
    if (isStop) await this.#wake(key, runner);
    else await runner.end();
    await this.#check(key, [heir, watcher], takeover);
    this.#noteDoubles(key, runner, heir, since);
    this.#tally[isStop ? 'stopped' : 'killed']++;
    for (const message of [runner, heir, watcher].flatMap(({ messages }) => messages)) {
      if (message.kind === 'incident') this.#tally.incidents.push(message.text);
    }
    if (!isStop) await runner.start();
  }

  async #begin(
    key: string,
    [runner, heir, watcher]: readonly [Worker, Worker, Worker],
    takeover: boolean,
  ): Promise<void> {
    runner.send({ kind: 'start', key, takeover });
    await runner.until(() => runner.of('received', key).length > 0);
    heir.send({ kind: 'start', key, takeover });
    watcher.send({ kind: 'find', key });
    await Promise.all(
      [heir, watcher].map((worker) => worker.until(() => worker.of('received', key).length > 0)),
    );
  }

  #note(key: string, since: number, subscribers: readonly Worker[], takeover: boolean): void {
    for (const worker of subscribers) {
      const [end] = worker.of('ended', key);
      const pids = worker.of('received', key).map(({ data }) => data.split(' ')[1]);
      const next = worker.of('received', key)[pids.findIndex((pid) => pid !== pids[0])];
      const at = takeover ? next?.at : end?.at;
      this.#tally.delays.push((at ?? Number.POSITIVE_INFINITY) - since);
      if (end?.outcome === 'ERR_SSE_RUN_LOST' && !takeover) this.#tally.failed++;
      if (end?.outcome === 'done' && takeover) this.#tally.continued++;
    }
  }

  /** A stopped process continues, and must notice that it has lost its lease. */
  async #wake(key: string, runner: Worker): Promise<void> {
    runner.signal('SIGCONT');
    await runner.until(() => runner.of('aborted', key).length > 0 && runner.of('ended', key).length > 0);
    const codes = runner.of('aborted', key).map(({ code }) => code);
    if (codes.join() !== 'ERR_SSE_RUN_LOST') this.#tally.incidents.push(`aborted with ${codes}`);
    // What it would append, it would append now.
    await sleep(100);
  }

  /** The log and every subscriber have each number once and in order, and nothing after the end. */
  async #check(key: string, subscribers: readonly Worker[], takeover: boolean): Promise<void> {
    const stored = await this.#dataOf(key);
    const last = stored.pop() ?? '';
    const lists = [
      stored,
      ...subscribers.map((worker) => worker.of('received', key).map(({ data }) => data)),
    ];
    for (const list of lists) {
      const wrong = list.filter((data, index) => Number(data.split(' ')[0]) !== index + 1);
      this.#tally.wrongEntries.push(...wrong);
      if (list.length !== stored.length) this.#tally.wrongEntries.push(`${list.length} of ${stored.length}`);
    }
    if (last !== 'done' && takeover) this.#tally.wrongEntries.push(last);
    if (!last.startsWith('The run was lost') && !takeover) this.#tally.wrongEntries.push(last);
  }

  #noteDoubles(key: string, runner: Worker, heir: Worker, since: number): void {
    const started = heir.of('yields', key)[0]?.at ?? Number.POSITIVE_INFINITY;
    const late = runner.of('yields', key).filter(({ at }) => at > started);
    this.#tally.doubleYields.push(...late.slice(1).map(({ n, at }) => `${n} at ${at - since} ms`));
  }
}

async function dataOf(server: RedisServer, connected: Connected, key: string): Promise<string[]> {
  const logs = redisLogs(connected.client);
  const { entries } = await logs(`run:${key}`).read('', 10_000);
  await logs.close();
  if (entries.length === 0) throw new Error(`${key} is not stored on port ${server.port}.`);
  return entries.map(({ record }) => record.data);
}

for (const [name, connect] of CLIENTS) {
  describeWithRedis(`runs whose processes are killed and stopped, with ${name}`, (server) => {
    it(`lose no subscriber, and append nothing after the lease is lost (${FAULTS} faults)`, async () => {
      const connected = await connect(server.port);
      const tally = new Tally();
      const args = [name, String(server.port), String(LEASE_MS)];
      const groups = Array.from(
        { length: GROUPS },
        (_, index) => new Group(`group-${index}`, args, tally, (key) => dataOf(server, connected, key)),
      );
      let round = 0;
      const work = async (group: Group) => {
        while (round < FAULTS) await group.round(round++);
      };

      try {
        await Promise.all(groups.map((group) => group.start()));
        await Promise.all(groups.map(work));
      } finally {
        await Promise.all(groups.map((group) => group.end()));
        await connected.end();
      }

      rows.push([name, ...tally.row]);
      expect(tally.incidents).toEqual([]);
      expect(tally.wrongEntries).toEqual([]);
      expect(tally.doubleYields).toEqual([]);
      expect(tally.failed + tally.continued).toBe(2 * FAULTS);
      expect(tally.delays.filter((delay) => delay > LIMIT_MS)).toEqual([]);
    });
  });
}
