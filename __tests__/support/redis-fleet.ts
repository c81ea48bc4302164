import { setTimeout as sleep } from 'node:timers/promises';
import { Channel } from '../../lib';
import { type RedisLogs, redisLogs } from '../../lib/redis';
import type { Connected } from './redis';

/** Milliseconds between two events of one publisher. */
const PACE_MS = 100;

/** Milliseconds for a subscriber to receive the last event of a channel. After that it counts as one that receives nothing. */
const PATIENCE_MS = 30_000;

const LAST = 'last';

/** What has become of the events of a fleet. */
export interface FleetCounts {
  readonly acknowledged: number;
  readonly rejected: number;
  /** Acknowledged, but not in the stream: a failover or a kill has lost them. */
  readonly lostByRedis: number;
  /** In the stream, but not received by a subscriber; counted for each subscriber. */
  readonly lost: number;
  readonly doubled: number;
  readonly outOfOrder: number;
  readonly gaps: number;
  /** Subscribers that have not received the last event in time. */
  readonly silent: number;
}

interface Member {
  readonly user: Connected;
  readonly logs: RedisLogs;
  readonly channels: ReadonlyMap<string, Channel<string>>;
  /** By channel. */
  readonly received: Map<string, string[]>;
  readonly subscriptions: Array<{ return(): unknown }>;
}

/** Several `redisLogs()` that all publish to the same channels and subscribe to them. */
export class Fleet {
  readonly #members: Member[] = [];
  readonly #keys: readonly string[];
  readonly #publishing: Promise<void>[] = [];
  readonly acknowledged: string[] = [];
  readonly rejected: string[] = [];
  #round = 0;
  #isStopped = false;
  #isEnded = false;

  constructor(keys: readonly string[]) {
    this.#keys = keys;
  }

  /** Adds one that stands for a process. Resolves when it is subscribed to every channel. */
  async join(user: Connected): Promise<void> {
    const logs = redisLogs(user.client);
    const channels = new Map(
      this.#keys.map((key) => [key, new Channel<string>({ log: logs(key, { maxEvents: 100_000 }) })]),
    );
    const member: Member = { user, logs, channels, received: new Map(), subscriptions: [] };
    this.#members.push(member);
    await Promise.all(this.#keys.map((key) => this.#subscribe(member, key)));
  }

  publish(): void {
    this.#isStopped = false;
    this.#round++;
    for (const [index, { channels }] of this.#members.entries()) {
      for (const [key, channel] of channels) {
        this.#publishing.push(this.#publishTo(channel, `${key} ${index}.${this.#round}`));
      }
    }
  }

  /** Resolves when this number of further events were acknowledged on each of the channels. */
  async progress(count: number, keys: readonly string[] = this.#keys): Promise<void> {
    const start = this.acknowledged.length;
    const isDone = (key: string) => {
      let seen = 0;
      for (let i = start; i < this.acknowledged.length; i++) {
        if (this.acknowledged[i]?.startsWith(`${key} `)) seen++;
      }
      return seen >= count;
    };
    while (!keys.every(isDone) && !this.#isEnded) await sleep(20);
  }

  /** Stops publishing, and waits until every subscriber has received the last event of its channel, or does not. */
  async finish(): Promise<FleetCounts> {
    this.#isStopped = true;
    await Promise.all(this.#publishing);
    const [first] = this.#members;
    if (first === undefined) throw new Error('The fleet is empty.');
    await Promise.all([...first.channels.values()].map((channel) => this.#publishAnyway(channel, LAST)));
    const deadline = performance.now() + PATIENCE_MS;
    const isDone = () => this.#silent() === 0;
    while (!isDone() && performance.now() < deadline) await sleep(20);
    return this.#count(first);
  }

  async end(): Promise<void> {
    this.#isStopped = true;
    this.#isEnded = true;
    for (const { subscriptions, logs, user } of this.#members) {
      await Promise.all(subscriptions.map((subscription) => subscription.return()));
      await logs.close();
      await user.end();
    }
  }

  async #subscribe(member: Member, key: string): Promise<void> {
    const list: string[] = [];
    member.received.set(key, list);
    const channel = member.channels.get(key) as Channel<string>;
    const subscription = channel.subscribe();
    member.subscriptions.push(subscription);
    void (async () => {
      for await (const { type, data } of subscription) list.push(type === 'gap' ? 'GAP' : String(data));
    })();
    await this.#publishAnyway(channel, 'first');
    while (list.length === 0) await sleep(5);
  }

  async #publishTo(channel: Channel<string>, name: string): Promise<void> {
    for (let number = 0; !this.#isStopped; number++) {
      const data = `${name}:${number}`;
      await channel.publish(data).then(
        () => this.acknowledged.push(data),
        () => this.rejected.push(data),
      );
      await sleep(PACE_MS);
    }
  }

  /** Publishes until Redis acknowledges it. */
  async #publishAnyway(channel: Channel<string>, data: string): Promise<void> {
    while (!this.#isEnded) {
      try {
        await channel.publish(data);
        return;
      } catch {
        await sleep(100);
      }
    }
  }

  #silent(): number {
    return this.#members
      .flatMap(({ received }) => [...received.values()])
      .filter((list) => list.at(-1) !== LAST).length;
  }

  async #count({ logs }: Member): Promise<FleetCounts> {
    const counts = { lostByRedis: 0, lost: 0, doubled: 0, outOfOrder: 0, gaps: 0 };
    const acknowledged = new Set(this.acknowledged);
    for (const key of this.#keys) {
      const { entries } = await logs(key).read('', 100_000);
      const stored = entries.map(({ record }) => record.data).filter(isNumbered);
      const inRedis = new Set(stored);
      for (const data of acknowledged)
        if (data.startsWith(`${key} `) && !inRedis.has(data)) counts.lostByRedis++;
      for (const { received } of this.#members) {
        const list = received.get(key) ?? [];
        const seen = new Set(list);
        counts.lost += stored.filter((data) => !seen.has(data)).length;
        const numbered = list.filter(isNumbered);
        counts.doubled += numbered.length - new Set(numbered).size;
        counts.gaps += list.filter((data) => data === 'GAP').length;
        counts.outOfOrder += disorder(numbered);
      }
    }
    return {
      acknowledged: this.acknowledged.length,
      rejected: this.rejected.length,
      ...counts,
      silent: this.#silent(),
    };
  }
}

function isNumbered(data: string): boolean {
  return data.includes(':');
}

/** How often an event follows a later one of the same publisher. */
function disorder(list: readonly string[]): number {
  const newest = new Map<string, number>();
  let count = 0;
  for (const item of list) {
    const [name = '', number] = item.split(':');
    if (Number(number) < (newest.get(name) ?? -1)) count++;
    newest.set(name, Number(number));
  }
  return count;
}

/** The columns of a table of {@link FleetCounts}. */
export const TABLE_HEAD = [
  'client',
  'fault',
  'acknowledged',
  'rejected',
  'lost by Redis',
  'lost',
  'doubled',
  'out of order',
  'gaps',
  'silent',
] as const;

/** Prints what was counted, as a table. */
export function printTable(rows: ReadonlyArray<readonly string[]>): void {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | '));
  process.stdout.write(`\n${lines.join('\n')}\n\n`);
}
