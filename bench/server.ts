import type { Service } from './adapter';
import { adapterNamed } from './adapters';
import { Broadcasts } from './broadcast';
import { cpuTimeOf } from './cpu-time';
import { type Memory, type MemoryGrowth, MemoryWatch, settledMemory } from './memory';
import { ROUTES } from './rows';

/**
 * What the parent asks for: the beginning of what is to be measured, and its end, at which a broadcast's streams end;
 * or what was used so far, once all is published; or the memory at rest.
 */
export type ServerQuestion = 'start' | 'stop' | 'usage' | 'memory';

/** The answer to the end. */
export interface Usage {
  /** CPU time of what serves since the start, in its own code and in the kernel. */
  readonly userMs: number;
  readonly systemMs: number;
  readonly wallMs: number;
  /** How the memory of this process grew meanwhile; `undefined` if another one serves. */
  readonly growth?: MemoryGrowth;
}

// The TypeScript loader turns them on; with them every error's stack costs what it does not cost in production.
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

/** A broadcast is measured from its first event on, whatever was asked, and ended once that is done. */
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
