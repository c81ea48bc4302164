import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventLog } from '../../lib/log/event-log';
import { redisLogs } from '../../lib/redis';
import { CLIENTS, type Connected, describeWithRedis } from '../support/redis';
import type { Wish as Command, Word as Message } from '../support/redis-process';

const PROCESSES = 3;

/** The events that Redis acknowledges to each process before the first fault and after each fault, on a machine of any speed. */
const QUIET_EVENTS = 20;

/** A child process that can be killed and restarted. Keeps the events that it has reported. */
class Worker {
  readonly received: Array<{ readonly id: string; readonly data: string }> = [];
  readonly acknowledged: string[] = [];
  readonly rejected: string[] = [];
  readonly incidents: string[] = [];
  readonly #name: string;
  readonly #args: readonly string[];
  #process!: ChildProcess;
  #life = 0;
  #key = '';
  #onMessage: (message: Message) => void = () => undefined;

  constructor(name: string, args: readonly string[]) {
    this.#name = name;
    this.#args = args;
  }

  async start(): Promise<void> {
    const file = join(__dirname, '../support', 'redis-process.ts');
    this.#process = fork(file, this.#args, { execArgv: ['--no-warnings', '--import', 'tsx'] });
    this.#process.on('message', (message: Message) => this.#handle(message));
    await this.#message('ready');
    this.#life++;
  }

  /** Subscribes to a channel, after the last event received from it, if any. */
  async subscribe(key: string): Promise<void> {
    if (key !== this.#key) {
      for (const list of [this.received, this.acknowledged, this.rejected]) list.length = 0;
    }
    this.#key = key;
    this.#send({ kind: 'subscribe', key, lastEventId: this.received.at(-1)?.id });
    await this.#message('subscribed');
  }

  publish(): void {
    this.#send({ kind: 'publish', key: this.#key, name: `${this.#name}.${this.#life}` });
  }

  /** Resolves when Redis has acknowledged more events. */
  async publishesMore(): Promise<void> {
    const enough = this.acknowledged.length + QUIET_EVENTS;
    while (this.acknowledged.length < enough) await this.#message('acknowledged');
  }

  async stop(): Promise<void> {
    this.#send({ kind: 'stop', key: this.#key });
    await this.#message('stopped');
  }

  /** Kills the process with `kill -9`. The next one resumes where this one stopped. */
  async crash(): Promise<void> {
    await this.end();
    await this.start();
    await this.subscribe(this.#key);
    this.publish();
  }

  async end(): Promise<void> {
    this.#process.kill('SIGKILL');
    // Not 'exit': its last messages may not have arrived yet.
    await once(this.#process, 'close');
  }

  async receives(data: string): Promise<void> {
    while (this.received.at(-1)?.data !== data) await this.#message('heard');
  }

  #send(command: Command): void {
    this.#process.send(command);
  }

  #message(kind: Message['kind']): Promise<void> {
    return new Promise((resolve) => {
      this.#onMessage = (message) => {
        if (message.kind === kind) resolve();
      };
    });
  }

  #handle(message: Message): void {
    if (message.kind === 'incident') this.incidents.push(message.text);
    else if (!('key' in message) || message.key === this.#key) this.#keep(message);
    this.#onMessage(message);
  }

  #keep(message: Message): void {
    if (message.kind === 'heard') this.received.push({ id: message.id, data: message.data });
    if (message.kind === 'acknowledged' || message.kind === 'rejected') this[message.kind].push(message.data);
  }
}

async function dataOf(log: EventLog): Promise<string[]> {
  const all: string[] = [];
  let after = '';
  for (;;) {
    const { entries } = await log.read(after, 5_000);
    if (entries.length === 0) return all;
    for (const { record } of entries) all.push(record.data);
    after = entries.at(-1)?.id ?? '';
  }
}

function duplicatesIn(list: readonly string[]): string[] {
  const seen = new Set<string>();
  return list.filter((item) => seen.size === seen.add(item).size);
}

/** The numbers of each publisher, in the order of the list. */
function numbersOf(list: readonly string[]): Map<string, number[]> {
  const numbers = new Map<string, number[]>();
  for (const item of list) {
    const [name = '', number] = item.split(':');
    if (number !== undefined) numbers.set(name, [...(numbers.get(name) ?? []), Number(number)]);
  }
  return numbers;
}

const rows: string[][] = [
  ['client', 'fault', 'acknowledged', 'rejected', 'rejected but stored', 'lost', 'duplicated'],
];

afterAll(() => {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | '));
  process.stdout.write(`\n${lines.join('\n')}\n\n`);
});

for (const [name, connect] of CLIENTS) {
  describeWithRedis(`${PROCESSES} processes with ${name} lose and duplicate no event`, (server) => {
    let workers: Worker[];
    let user: Connected;

    beforeAll(async () => {
      workers = Array.from(
        { length: PROCESSES },
        (_, index) => new Worker(`p${index}`, [name, String(server.port)]),
      );
      await Promise.all(workers.map((worker) => worker.start()));
      user = await connect(server.port);
    });

    afterAll(async () => {
      await Promise.all(workers.map((worker) => worker.end()));
      await user.end();
    });

    const kill = (type: string) => server.call('CLIENT', 'KILL', 'TYPE', type);
    const restart = async () => {
      await server.kill();
      await sleep(50);
      await server.start();
    };

    const FAULTS: ReadonlyArray<
      readonly [fault: string, times: number, inflict: (time: number) => Promise<unknown>]
    > = [
      ['none', 1, async () => undefined],
      ['kill -9 of a process', 2, (time) => workers[time]?.crash() ?? Promise.resolve()],
      ['kill -9 of Redis', 2, restart],
      ['CLIENT KILL of the subscribed connection', 4, () => kill('pubsub')],
      ['CLIENT KILL of the commanding connection', 4, () => kill('normal')],
      ['CLIENT KILL of both', 4, () => Promise.all([kill('pubsub'), kill('normal')])],
    ];

    it.each(FAULTS)('with fault: %s', async (fault, times, inflict) => {
      await Promise.all(workers.map((worker) => worker.subscribe(fault)));
      for (const worker of workers) worker.publish();
      const quiet = () => Promise.all(workers.map((worker) => worker.publishesMore()));
      for (let time = 0; time < times; time++) {
        await quiet();
        await inflict(time);
      }
      await quiet();
      await Promise.all(workers.map((worker) => worker.stop()));

      const logs = redisLogs(user.client);
      const log = logs(fault, { maxEvents: 1_000_000 });
      // Waits until Redis is available.
      await log.head();
      await log.append({ kind: 'event', data: 'last', serialized: false });
      await Promise.all(workers.map((worker) => worker.receives('last')));
      const inRedis = await dataOf(log);
      await logs.close();

      const acknowledged = workers.flatMap((worker) => worker.acknowledged);
      const rejected = workers.flatMap((worker) => worker.rejected);
      const received = workers.map((worker) => worker.received.map(({ data }) => data));
      const lost = received.flatMap((list) => {
        const known = new Set(list);
        return acknowledged.filter((data) => !known.has(data));
      });
      const duplicated = received.flatMap((list) => duplicatesIn(list));
      // Their outcome was unknown to the publisher; each may be stored once.
      const stored = new Set(inRedis);
      const kept = rejected.filter((data) => stored.has(data));
      const counts = [acknowledged, rejected, kept, lost, duplicated].map((list) => String(list.length));
      rows.push([name, fault, ...counts]);

      expect({ lost, duplicated }).toEqual({ lost: [], duplicated: [] });
      for (const list of received) expect(list).toEqual(inRedis);
      for (const numbers of numbersOf(inRedis).values()) {
        expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      }
      expect(workers.flatMap(({ incidents }) => incidents)).toEqual([]);
      expect(acknowledged.length).toBeGreaterThanOrEqual(PROCESSES * QUIET_EVENTS * (times + 1));
    });
  });
}
