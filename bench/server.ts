import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { adapterNamed } from './adapters';
import { Broadcasts } from './broadcast';
import { ROUTES } from './rows';

/** What the parent asks for: the beginning of what is to be measured, and its end. */
export type ServerQuestion = 'start' | 'stop';

/** The answer to the end. */
export interface Usage {
  /** CPU time of this process since the start, in its own code and in the kernel. */
  readonly userMs: number;
  readonly systemMs: number;
  readonly wallMs: number;
  readonly rssBytes: number;
}

/** So many connections wait to be accepted; with Node's 511, some of 10,000 would have to try again. */
const BACKLOG = 4_096;

// The TypeScript loader turns them on; with them every error's stack costs what it does not cost in production.
process.setSourceMapsEnabled(false);

let before = process.cpuUsage();
let startedAt = performance.now();

function start(): void {
  before = process.cpuUsage();
  startedAt = performance.now();
}

function usage(): Usage {
  const { user, system } = process.cpuUsage(before);
  const wallMs = performance.now() - startedAt;
  return { userMs: user / 1_000, systemMs: system / 1_000, wallMs, rssBytes: process.memoryUsage.rss() };
}

/** A broadcast is measured from its first event on, whatever was asked, and ended once that is done. */
async function answer(question: ServerQuestion): Promise<Usage> {
  if (question === 'start') start();
  else await broadcasts.published();
  const used = usage();
  if (question === 'stop') await broadcasts.end();
  return used;
}

const broadcasts = new Broadcasts(start);
const server = createServer(adapterNamed(process.argv[2]).listener(ROUTES, broadcasts));
server.listen(0, '127.0.0.1', BACKLOG, () => process.send?.((server.address() as AddressInfo).port));
process.on('message', async (question: ServerQuestion) => process.send?.(await answer(question)));
process.on('disconnect', () => process.exit());
