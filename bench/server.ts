import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { adapterNamed } from './adapters';
import { ROUTES } from './rows';

/** What the parent asks for: the beginning of what is to be measured, and its end. */
export type ServerQuestion = 'start' | 'stop';

/** The answer to the end. */
export interface Usage {
  /** CPU time of this process since the start, in its own code and in the kernel. */
  readonly userMs: number;
  readonly systemMs: number;
  readonly rssBytes: number;
}

// The TypeScript loader turns them on; with them every error's stack costs what it does not cost in production.
process.setSourceMapsEnabled(false);

let before = process.cpuUsage();

function answer(question: ServerQuestion): Usage {
  const { user, system } = process.cpuUsage(before);
  if (question === 'start') before = process.cpuUsage();
  return { userMs: user / 1_000, systemMs: system / 1_000, rssBytes: process.memoryUsage.rss() };
}

const server = createServer(adapterNamed(process.argv[2]).listener(ROUTES));
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('message', (question: ServerQuestion) => process.send?.(answer(question)));
process.on('disconnect', () => process.exit());
