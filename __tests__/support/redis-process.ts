/**
 * One of several processes that publish to the same channel over Redis and subscribe to it, and that are killed without
 * warning. What it has to say it says at once, for it may be the last.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Channel } from '../../lib';
import { redisLogs } from '../../lib/redis';
import { CLIENTS } from './redis';

/** What its parent wants. */
export type Wish =
  /** To hear what comes after an id, or from now on. */
  | { readonly kind: 'subscribe'; readonly key: string; readonly lastEventId: string | undefined }
  /** To publish until told to stop; each event is the name and a number. */
  | { readonly kind: 'publish'; readonly key: string; readonly name: string }
  | { readonly kind: 'stop'; readonly key: string };

/** What it tells. */
export type Word =
  | { readonly kind: 'ready' }
  | { readonly kind: 'subscribed'; readonly key: string }
  | { readonly kind: 'heard'; readonly key: string; readonly id: string; readonly data: string }
  | { readonly kind: 'acknowledged' | 'rejected'; readonly key: string; readonly data: string }
  | { readonly kind: 'stopped'; readonly key: string }
  | { readonly kind: 'incident'; readonly text: string };

/** How many events are on their way to Redis at a time. */
const IN_FLIGHT = 4;

const channels = new Map<string, Channel<string>>();
const stopped = new Set<string>();

function tell(word: Word): void {
  process.send?.(word);
}

process.on('unhandledRejection', (error) =>
  tell({ kind: 'incident', text: `unhandledRejection ${String(error)}` }),
);
process.on('uncaughtException', (error) =>
  tell({ kind: 'incident', text: `uncaughtException ${error.stack}` }),
);
process.on('disconnect', () => process.exit());

async function subscribe(
  channel: Channel<string>,
  key: string,
  lastEventId: string | undefined,
): Promise<void> {
  const subscription = channel.subscribe(lastEventId === undefined ? {} : { lastEventId });
  tell({ kind: 'subscribed', key });
  for await (const { type, id, data } of subscription) {
    tell({ kind: 'heard', key, id: String(id), data: type === 'gap' ? 'GAP' : String(data) });
  }
}

async function publish(channel: Channel<string>, key: string, name: string): Promise<void> {
  let sent = 0;
  const one = async () => {
    const data = `${name}:${sent++}`;
    const kind = await channel.publish(data).then(
      () => 'acknowledged' as const,
      () => 'rejected' as const,
    );
    tell({ kind, key, data });
  };
  while (!stopped.has(key)) {
    await Promise.all(Array.from({ length: IN_FLIGHT }, one));
    await sleep(2);
  }
  tell({ kind: 'stopped', key });
}

async function main(): Promise<void> {
  const [, , name, port] = process.argv;
  const [, connect] = CLIENTS.find(([client]) => client === name) ?? [];
  if (connect === undefined) throw new Error(`Expected a client, got ${name}.`);
  const { client } = await connect(Number(port));
  const logs = redisLogs(client);
  const channelOf = (key: string) => {
    const channel = channels.get(key) ?? new Channel<string>({ log: logs(key, { maxEvents: 1_000_000 }) });
    channels.set(key, channel);
    return channel;
  };
  process.on('message', (wish: Wish) => {
    if (wish.kind === 'stop') stopped.add(wish.key);
    else if (wish.kind === 'publish') void publish(channelOf(wish.key), wish.key, wish.name);
    else void subscribe(channelOf(wish.key), wish.key, wish.lastEventId);
  });
  tell({ kind: 'ready' });
}

void main();
