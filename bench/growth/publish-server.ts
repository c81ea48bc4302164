import { strictEqual } from 'node:assert';
import { setImmediate } from 'node:timers/promises';
import { cpuTimeOf } from '../cpu-time';
import { Channel, memoryLog } from '../express-yield';

/** The number of channels, and of events on each. */
export interface PublishQuestion {
  readonly channels: number;
  readonly rounds: number;
}

/** Small, so that 10,000 channels do not hold more events than one channel would. */
const LOG = { maxEvents: 10 };

/** How many events are published, each on another channel, before the event loop continues and the subscribers read. */
const PUBLISHED_IN_A_TURN = 100;

/** A channel and its only subscriber. */
class SubscribedChannel {
  readonly channel = new Channel<number>({ log: memoryLog(LOG) });
  /** Resolves when all events have arrived, once and in order. */
  readonly all: Promise<void>;

  constructor(events: number) {
    this.all = this.#read(events);
  }

  async #read(events: number): Promise<void> {
    let seq = 0;
    for await (const { data } of this.channel) {
      strictEqual(data, seq++);
      if (seq === events) return;
    }
  }
}

/** CPU milliseconds, without creating the channels and filling their logs. */
async function publishOn({ channels, rounds }: PublishQuestion): Promise<number> {
  const subscribed = Array.from({ length: channels }, () => new SubscribedChannel(LOG.maxEvents + rounds));
  await publishRounds(subscribed, 0, LOG.maxEvents);
  const before = cpuTimeOf();
  await publishRounds(subscribed, LOG.maxEvents, LOG.maxEvents + rounds);
  await Promise.all(subscribed.map(({ all }) => all));
  const { userMs, systemMs } = cpuTimeOf();
  return userMs - before.userMs + systemMs - before.systemMs;
}

async function publishRounds(
  subscribed: readonly SubscribedChannel[],
  from: number,
  to: number,
): Promise<void> {
  const inTurn = Math.min(subscribed.length, PUBLISHED_IN_A_TURN);
  let published = 0;
  for (let seq = from; seq < to; seq++) {
    for (const { channel } of subscribed) {
      await channel.publish(seq);
      if (++published % inTurn === 0) await setImmediate();
    }
  }
}

process.setSourceMapsEnabled(false);
process.on('message', async ({ channels, rounds }: PublishQuestion) => {
  // Compilation must not be measured.
  await publishOn({ channels, rounds: Math.ceil(rounds / 4) });
  process.send?.(await publishOn({ channels, rounds }));
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
