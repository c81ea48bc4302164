import { strictEqual } from 'node:assert';
import { get, type IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Adapter } from './adapter';
import { Child, CORES } from './child';
import type { Row } from './rows';

const EVENTS = 100;

/** @throws if two adapters do not send the same bytes for the same row, but for the moments in them */
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
  for (const row of rows) bodies.set(row.name, await bodyOf(port, row));
  await child.stop();
  return bodies;
}

async function bodyOf(port: number, row: Row): Promise<string> {
  const res = await open(port, row);
  const content = row.route.compression === 'used' ? pipeline(res, createGunzip(), () => undefined) : res;
  let body = '';
  for await (const text of content.setEncoding('utf8')) {
    body += text;
    if (row.reads === 'first' && body.endsWith('\n\n')) break;
  }
  return body.replace(/"at":\d+/g, '"at":0');
}

function open(port: number, { route, reads }: Row): Promise<IncomingMessage> {
  const path = `${route.path}?events=${reads === 'all' ? EVENTS : 1}`;
  const headers = route.compression === 'used' ? { 'Accept-Encoding': 'gzip' } : {};
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, headers, agent: false }, resolve).on('error', reject);
  });
}
