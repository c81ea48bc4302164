import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventLog } from '../../lib/log/event-log';
import { redisLogs } from '../../lib/redis';
import { CLIENTS, type Connected, describeWithRedis } from '../support/redis';
import type { Wish, Word } from '../support/redis-process';

const PROCESSES = 3;

/** Of undisturbed traffic, before the first fault and after each. */
const QUIET_MS = 150;

jest.setTimeout(60_000);

/** A process that can be killed, and that is then started again. What it has told is kept. */
class Member {
  readonly heard: Array<{ readonly id: string; readonly data: string }> = [];
  readonly acknowledged: string[] = [];
  readonly rejected: string[] = [];
  readonly incidents: string[] = [];
  readonly #name: string;
  readonly #args: readonly string[];
  #process!: ChildProcess;
  #life = 0;
  #key = '';
  #onWord: (word: Word) => void = () => undefined;

  constructor(name: string, args: readonly string[]) {
    this.#name = name;
    this.#args = args;
  }

  async start(): Promise<void> {
    const file = join(__dirname, '../support', 'redis-process.ts');
    this.#process = fork(file, this.#args, { execArgv: ['--no-warnings', '--import', 'tsx'] });
    this.#process.on('message', (word: Word) => this.#hear(word));
    await this.#told('ready');
    this.#life++;
  }

  /** Takes part in a channel; behind the last event that was heard, if any was. */
  async join(key: string): Promise<void> {
    if (key !== this.#key) {
      for (const list of [this.heard, this.acknowledged, this.rejected]) list.length = 0;
    }
    this.#key = key;
    this.#wish({ kind: 'subscribe', key, lastEventId: this.heard.at(-1)?.id });
    await this.#told('subscribed');
  }

  publish(): void {
    this.#wish({ kind: 'publish', key: this.#key, name: `${this.#name}.${this.#life}` });
  }

  async stop(): Promise<void> {
    this.#wish({ kind: 'stop', key: this.#key });
    await this.#told('stopped');
  }

  /** `kill -9`; the next life resumes where this one ended. */
  async crash(): Promise<void> {
    await this.end();
    await this.start();
    await this.join(this.#key);
    this.publish();
  }

  async end(): Promise<void> {
    this.#process.kill('SIGKILL');
    // Not `exit`: what it has said last may still be on its way.
    await once(this.#process, 'close');
  }

  async hears(data: string): Promise<void> {
    while (this.heard.at(-1)?.data !== data) await this.#told('heard');
  }

  #wish(wish: Wish): void {
    this.#process.send(wish);
  }

  #told(kind: Word['kind']): Promise<void> {
    return new Promise((resolve) => {
      this.#onWord = (word) => {
        if (word.kind === kind) resolve();
      };
    });
  }

  #hear(word: Word): void {
    if (word.kind === 'incident') this.incidents.push(word.text);
    else if (!('key' in word) || word.key === this.#key) this.#keep(word);
    this.#onWord(word);
  }

  #keep(word: Word): void {
    if (word.kind === 'heard') this.heard.push({ id: word.id, data: word.data });
    if (word.kind === 'acknowledged' || word.kind === 'rejected') this[word.kind].push(word.data);
  }
}

async function everything(log: EventLog): Promise<string[]> {
  const all: string[] = [];
  let after = '';
  for (;;) {
    const { entries } = await log.read(after, 5_000);
    if (entries.length === 0) return all;
    for (const { record } of entries) all.push(record.data);
    after = entries.at(-1)?.id ?? '';
  }
}

function doublesIn(list: readonly string[]): string[] {
  return list.filter((item, index) => index > 0 && list.indexOf(item) !== index);
}

/** What one publisher has published, in the order of the list. */
function numbersOf(list: readonly string[]): Map<string, number[]> {
  const numbers = new Map<string, number[]>();
  for (const item of list) {
    const [name = '', number] = item.split(':');
    if (number !== undefined) numbers.set(name, [...(numbers.get(name) ?? []), Number(number)]);
  }
  return numbers;
}

const rows: string[][] = [
  ['client', 'fault', 'acknowledged', 'rejected', 'of these kept', 'lost', 'doubled'],
];

afterAll(() => {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | '));
  process.stdout.write(`\n${lines.join('\n')}\n\n`);
});

for (const [name, connect] of CLIENTS) {
  describeWithRedis(`${PROCESSES} processes with ${name} lose nothing and double nothing`, (server) => {
    let members: Member[];
    let user: Connected;

    beforeAll(async () => {
      members = Array.from(
        { length: PROCESSES },
        (_, index) => new Member(`p${index}`, [name, String(server.port)]),
      );
      await Promise.all(members.map((member) => member.start()));
      user = await connect(server.port);
    });

    afterAll(async () => {
      await Promise.all(members.map((member) => member.end()));
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
      ['kill -9 of a process', 2, (time) => members[time]?.crash() ?? Promise.resolve()],
      ['kill -9 of Redis', 2, restart],
      ['CLIENT KILL of the subscribed connection', 4, () => kill('pubsub')],
      ['CLIENT KILL of the commanding connection', 4, () => kill('normal')],
      ['CLIENT KILL of both', 4, () => Promise.all([kill('pubsub'), kill('normal')])],
    ];

    it.each(FAULTS)('through: %s', async (fault, times, inflict) => {
      await Promise.all(members.map((member) => member.join(fault)));
      for (const member of members) member.publish();
      for (let time = 0; time < times; time++) {
        await sleep(QUIET_MS);
        await inflict(time);
      }
      await sleep(QUIET_MS);
      await Promise.all(members.map((member) => member.stop()));

      const logs = redisLogs(user.client);
      const log = logs(fault, { maxEvents: 1_000_000 });
      // It waits until Redis is there.
      await log.head();
      await log.append({ kind: 'event', data: 'last', serialized: false });
      await Promise.all(members.map((member) => member.hears('last')));
      const inRedis = await everything(log);
      await logs.close();

      const acknowledged = members.flatMap((member) => member.acknowledged);
      const rejected = members.flatMap((member) => member.rejected);
      const heard = members.map((member) => member.heard.map(({ data }) => data));
      const lost = heard.flatMap((list) => {
        const known = new Set(list);
        return acknowledged.filter((data) => !known.has(data));
      });
      const doubled = heard.flatMap((list) => doublesIn(list));
      // Those that were in doubt; each may be there once.
      const kept = rejected.filter((data) => inRedis.includes(data));
      const counts = [acknowledged, rejected, kept, lost, doubled].map((list) => String(list.length));
      rows.push([name, fault, ...counts]);

      expect({ lost, doubled }).toEqual({ lost: [], doubled: [] });
      for (const list of heard) expect(list).toEqual(inRedis);
      for (const numbers of numbersOf(inRedis).values()) {
        expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      }
      expect(members.flatMap(({ incidents }) => incidents)).toEqual([]);
      expect(acknowledged.length).toBeGreaterThan(100);
    });
  });
}
