import type { Service } from './adapter';
import { adapterNamed } from './adapters';
import { Broadcasts } from './broadcast';
import { cpuTimeOf } from './cpu-time';
import { type Memory, type MemoryGrowth, MemoryWatch, settledMemory } from './memory';
import { ROUTES } from './rows';

/**
 * A request of the parent process: start measuring; stop measuring, which also ends the streams of a broadcast; report the
 * usage so far, once everything is published; or report the memory at rest.
 */
export type ServerQuestion = 'start' | 'stop' | 'usage' | 'memory';

/** The answer to `'stop'` and `'usage'`. */
export interface Usage {
  /** CPU time of the server since the start, in user mode and in the kernel. */
  readonly userMs: number;
  readonly systemMs: number;
  readonly wallMs: number;
  /** How the memory of this process has grown since the start; `undefined` if another process serves. */
  readonly growth?: MemoryGrowth;
}

// The TypeScript loader turns source maps on, and with them each error's stack costs more than in production.
process.setSourceMapsEnabled(false);

let service: Service | undefined;
let before = cpuTimeOf();
let startedAt = performance.now();
let memory = new MemoryWatch();

function start(): 'started' {
  memory.stop();
  memory = new MemoryWatch();
  before = cpuTimeOf(service?.processes);
  startedAt = performance.now();
  return 'started';
}

function usage(): Usage {
  const { userMs, systemMs } = cpuTimeOf(service?.processes);
  return {
    userMs: userMs - before.userMs,
    systemMs: systemMs - before.systemMs,
    wallMs: performance.now() - startedAt,
    growth: service?.processes === undefined ? memory.stop() : undefined,
  };
}

/** Answers a request. A broadcast is always measured from its first event, until everything is published. */
async function answer(question: ServerQuestion): Promise<Usage | Memory | 'started'> {
  if (question === 'memory') return settledMemory();
  if (question === 'start') return start();
  await broadcasts.published();
  const used = usage();
  if (question === 'stop') await broadcasts.end();
  return used;
}

const broadcasts = new Broadcasts(start);

async function main(): Promise<void> {
  const [, , name, protocol] = process.argv;
  const adapter = adapterNamed(name);
  const loaded = protocol === 'http2' ? adapter.loadHttp2?.() : adapter.load();
  service = await (await loaded)?.serve(ROUTES, broadcasts);
  process.send?.(service?.port);
}

process.on('message', async (question: ServerQuestion) => process.send?.(await answer(question)));
process.on('disconnect', () => process.exit());
void main();
