import { get, type IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { createParser } from 'eventsource-parser';
import type { Child } from '../tools/child';
import type { Adapter, Kind } from './adapter';
import { adaptersFor } from './adapters';
import { startServer } from './processes';
import { queryOf } from './read-stream';
import type { Row } from './rows';
import type { ServerQuestion } from './server';
import { symbolAt } from './sources';

const EVENTS = 25;
const STOP: ServerQuestion = 'stop';

/** Each channel's name, before the events' numbers. Its length varies, because a random part is written without trailing zeros. */
const LOG_NAME = /^id: [a-z0-9]{13,15}-/gm;

/** The kinds that write every byte themselves, so that their responses can be identical. */
const SAME_BYTES: ReadonlySet<Kind> = new Set(['ours', 'by-hand', 'floor']);

/** One adapter's response for a row. */
interface Sent {
  readonly adapter: string;
  readonly body: string;
}

/**
 * @throws if two adapters do not deliver the same events for the same row, or if those that write every byte themselves
 * do not send the same bytes, apart from times and channel names
 */
export async function checkBodies(adapters: readonly Adapter[], rows: readonly Row[]): Promise<void> {
  const events = new Map<string, Sent>();
  const bytes = new Map<string, Sent>();
  for (const { name: adapter, kind } of adapters) {
    const own = rows.filter(
      (row) => row.protocol === undefined && adaptersFor(row, adapters).some(({ name }) => name === adapter),
    );
    for (const [row, body] of await bodiesOf(adapter, own)) {
      compare(row, { adapter, body }, events, eventsOf);
      if (SAME_BYTES.has(kind)) compare(row, { adapter, body }, bytes, (text) => text);
    }
  }
}

/** Compares with the first adapter's response. */
function compare(row: string, sent: Sent, firsts: Map<string, Sent>, part: (body: string) => string): void {
  const first = firsts.get(row);
  if (first === undefined) {
    firsts.set(row, sent);
    return;
  }
  const [here, there] = [part(sent.body), part(first.body)];
  if (here === there) return;
  const names = `${sent.adapter} differs from ${first.adapter} in ${row}`;
  throw new Error(`${names}:\n${differenceOf(here, there)}`);
}

/** The first line that differs. */
function differenceOf(here: string, there: string): string {
  const [lines, others] = [here.split('\n'), there.split('\n')];
  const at = others.findIndex((line, index) => line !== lines[index]);
  const line = at === -1 ? others.length : at;
  return `line ${line + 1} is ${JSON.stringify(lines[line])}, expected ${JSON.stringify(others[line])}`;
}

/** The data of each event except the closing one, as another package's parser reads them. */
function eventsOf(body: string): string {
  const events: string[] = [];
  const parser = createParser({ onEvent: ({ event, data }) => event !== 'end' && events.push(data) });
  parser.feed(body);
  return events.join('\n');
}

async function bodiesOf(adapter: string, rows: readonly Row[]): Promise<Map<string, string>> {
  const bodies = new Map<string, string>();
  if (rows.length === 0) return bodies;
  const { child, first: port } = await startServer<number>('server.ts', [adapter]);
  for (const row of rows) bodies.set(row.name, await bodyOf(port, row, child));
  await child.stop();
  return bodies;
}

async function bodyOf(port: number, row: Row, server: Child): Promise<string> {
  const res = await open(port, row);
  const content = row.route.compression === 'used' ? pipeline(res, createGunzip(), () => undefined) : res;
  let body = '';
  let stopped: Promise<unknown> | undefined;
  for await (const text of content.setEncoding('utf8')) {
    body += text;
    // Ends a shared run once everything is published; it has started when the first event arrives.
    if (body.includes('\ndata:') || body.startsWith('data:')) stopped ??= server.ask(STOP);
    if (isWhole(body, row)) break;
  }
  await stopped;
  return body.replace(/"at":\d+/g, '"at":0').replace(LOG_NAME, 'id: ');
}

/** A stream that is not read to its end has one event. Some streams do not end; they only have a last event. */
function isWhole(body: string, { reads }: Row): boolean {
  return reads === 'all' ? /^event: ?end\n(.+\n)*\n/m.test(body) : /^data:.*\n(.+\n)*\n/m.test(body);
}

function open(port: number, { route, reads, filtered }: Row): Promise<IncomingMessage> {
  const shared = { streams: 1, symbol: filtered ? symbolAt(0) : undefined };
  const path = `${route.path}?${queryOf(reads === 'all' ? EVENTS : 1, shared)}`;
  const encoding = route.compression === 'used' ? { 'Accept-Encoding': 'gzip' } : {};
  const headers = { Accept: 'text/event-stream', ...encoding };
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, headers, agent: false }, resolve).on('error', reject);
  });
}
