import { strictEqual } from 'node:assert';
import { get, type IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Adapter } from './adapter';
import { Child, CORES } from './child';
import { queryOf } from './read-stream';
import type { Row } from './rows';
import type { ServerQuestion } from './server';
import { symbolAt } from './sources';

const EVENTS = 100;

/** Every channel has its own, in front of the events' numbers; of a random part a zero at the end is not written. */
const LOG_NAME = /^id: [a-z0-9]{13,14}-/gm;

/** @throws if two adapters do not send the same bytes for the same row, but for the moments and the logs' names in them */
export async function checkBodies(adapters: readonly Adapter[], rows: readonly Row[]): Promise<void> {
  const [first, ...others] = await Promise.all(adapters.map((adapter) => bodiesOf(adapter, rows)));
  for (const [index, bodies] of others.entries()) {
    const names = `${adapters[0]?.name} and ${adapters[index + 1]?.name}`;
    for (const { name } of rows) {
      strictEqual(bodies.get(name), first?.get(name), `${names} send different bodies for ${name}.`);
    }
  }
}

async function bodiesOf(adapter: Adapter, rows: readonly Row[]): Promise<Map<string, string>> {
  const { child, greeting: port } = await Child.start<number>('server.ts', CORES.server, [adapter.name]);
  const bodies = new Map<string, string>();
  for (const row of rows) bodies.set(row.name, await bodyOf(port, row, child));
  await child.stop();
  return bodies;
}

async function bodyOf(port: number, row: Row, server: Child): Promise<string> {
  const res = await open(port, row);
  // Ends a shared run once all is published.
  await server.ask('stop' satisfies ServerQuestion);
  const content = row.route.compression === 'used' ? pipeline(res, createGunzip(), () => undefined) : res;
  let body = '';
  for await (const text of content.setEncoding('utf8')) {
    body += text;
    if (row.reads === 'first' && body.endsWith('\n\n')) break;
  }
  return body.replace(/"at":\d+/g, '"at":0').replace(LOG_NAME, 'id: ');
}

function open(port: number, { route, reads, filtered }: Row): Promise<IncomingMessage> {
  const shared = { streams: 1, symbol: filtered ? symbolAt(0) : undefined };
  const path = `${route.path}?${queryOf(reads === 'all' ? EVENTS : 1, shared)}`;
  const headers = route.compression === 'used' ? { 'Accept-Encoding': 'gzip' } : {};
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, headers, agent: false }, resolve).on('error', reject);
  });
}
