import { strictEqual } from 'node:assert';
import { setImmediate } from 'node:timers/promises';
import { cpuTimeOf } from '../cpu-time';
import { Channel, memoryLog } from '../express-yield';

/** How many channels there are to be, and how many events on each. */
export interface PublishQuestion {
  readonly channels: number;
  readonly rounds: number;
}

/** So that 10,000 channels do not hold more events than one would. */
const LOG = { maxEvents: 10 };

/** After so many, each on another channel, the event loop has its turn and the subscribers read. */
const PUBLISHED_IN_A_TURN = 100;

/** A channel, and its only subscriber. */
class Heard {
  readonly channel = new Channel<number>({ log: memoryLog(LOG) });
  /** Resolves when all events have come, once and in order. */
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

/** CPU milliseconds, without the making of the channels and the filling of their logs. */
async function publishOn({ channels, rounds }: PublishQuestion): Promise<number> {
  const heard = Array.from({ length: channels }, () => new Heard(LOG.maxEvents + rounds));
  await publishRounds(heard, 0, LOG.maxEvents);
  const before = cpuTimeOf();
  await publishRounds(heard, LOG.maxEvents, LOG.maxEvents + rounds);
  await Promise.all(heard.map(({ all }) => all));
  const { userMs, systemMs } = cpuTimeOf();
  return userMs - before.userMs + systemMs - before.systemMs;
}

async function publishRounds(heard: readonly Heard[], from: number, to: number): Promise<void> {
  const inTurn = Math.min(heard.length, PUBLISHED_IN_A_TURN);
  let published = 0;
  for (let seq = from; seq < to; seq++) {
    for (const { channel } of heard) {
      await channel.publish(seq);
      if (++published % inTurn === 0) await setImmediate();
    }
  }
}

process.setSourceMapsEnabled(false);
process.on('message', async ({ channels, rounds }: PublishQuestion) => {
  // What is compiled meanwhile is not measured.
  await publishOn({ channels, rounds: Math.ceil(rounds / 4) });
  process.send?.(await publishOn({ channels, rounds }));
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
