import { connect } from 'node:net';
import { setTimeout } from 'node:timers';
import type { Tally } from './ledger';

/** A malformed or abusive request, and how its answer must start. */
interface HostileRequest {
  readonly request: string;
  readonly answer: RegExp;
}

/** With the `Accept` of an EventSource, unless the headers have another. */
const stream = (headers: string): string => {
  const accept = headers.startsWith('Accept:') ? '' : 'Accept: text/event-stream\r\n';
  return `GET /ticks/0 HTTP/1.1\r\nHost: soak\r\n${accept}${headers}\r\n\r\n`;
};
const id = (value: string): string => stream(`Last-Event-ID: ${value}`);

/** An answer whose first event is a gap. */
const GAP = /^HTTP\/1\.1 200 [\s\S]*\nevent: gap\n/;
const REFUSED = /^HTTP\/1\.1 4\d\d /;
const OPEN = /^HTTP\/1\.1 200 [\s\S]*\n(?:id|data): /;

export const HOSTILE_REQUESTS: readonly HostileRequest[] = [
  { request: id('nonsense'), answer: GAP },
  { request: id('-'), answer: GAP },
  { request: id('~else'), answer: GAP },
  { request: id(`abc-${'9'.repeat(300)}`), answer: GAP },
  { request: id('\u00ff\u00fe\u00c3'), answer: GAP },
  { request: id('x'.repeat(6_000)), answer: /^HTTP\/1\.1 200 / },
  { request: id('__proto__'), answer: GAP },
  { request: id('~end'), answer: /^HTTP\/1\.1 204 / },
  { request: stream('Last-Event-ID: a\r\nLast-Event-ID: b'), answer: GAP },
  { request: stream('Accept: text/html'), answer: OPEN },
  { request: stream('Accept: text/event-stream;q=0'), answer: /^HTTP\/1\.1 406 / },
  { request: stream(`Accept: ${'a/b,'.repeat(2_000)}*/*`), answer: OPEN },
  { request: stream(`X-Long: ${'x'.repeat(20_000)}`), answer: /^HTTP\/1\.1 431 / },
  { request: stream('Last-Event-ID: a\0b'), answer: REFUSED },
  { request: stream('Content-Length: -1'), answer: REFUSED },
  { request: stream('Transfer-Encoding: chunked\r\nContent-Length: 5'), answer: REFUSED },
  { request: stream('Connection: close'), answer: OPEN },
  { request: stream('Connection: Upgrade\r\nUpgrade: websocket'), answer: OPEN },
  { request: stream('Expect: 100-continue'), answer: /^HTTP\/1\.1 100 / },
  { request: 'HEAD /ticks/0 HTTP/1.1\r\nHost: soak\r\n\r\n', answer: /^HTTP\/1\.1 200 [\s\S]*event-stream/ },
  { request: 'GET /ticks/0 HTTP/1.0\r\n\r\n', answer: /^HTTP\/1\.1 200 [\s\S]*\n(?:id|data): / },
  { request: `${stream('A: b')}${stream('A: b')}`, answer: OPEN },
  { request: 'POST /ask HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{{{', answer: /^HTTP\/1\.1 400 / }, // biome-ignore format: one line
  { request: '\x16\x03\x01\x02\x00\x01\x00\x01', answer: /^HTTP\/1\.1 400 / },
];

/** Longer than any pause of a busy machine. */
const TIMEOUT_MS = 30_000;

const shown = (text: string): string => JSON.stringify(text.slice(0, 200));

/** Sends a request, and disconnects as soon as the answer has arrived. */
export function sendHostileRequest({ request, answer }: HostileRequest, port: number, tally: Tally): void {
  const socket = connect(port, '127.0.0.1');
  const startedAt = performance.now();
  let received = '';
  let how = 'not connected';
  const wrong = (what: string) => tally.incidents.add(`${what} to ${shown(request)}: ${shown(received)}`);
  const timer = setTimeout(() => socket.destroy(), TIMEOUT_MS);
  socket.on('connect', () => {
    how = 'connected';
    socket.write(request, 'latin1');
  });
  socket.on('data', (bytes) => {
    received += bytes.toString('latin1');
    if (answer.test(received)) socket.destroy();
  });
  socket.on('error', (error) => {
    how += `, ${String(error)}`;
  });
  socket.on('close', () => {
    clearTimeout(timer);
    const ms = Math.round(performance.now() - startedAt);
    if (!answer.test(received)) wrong(`an unexpected answer (${how}, ${ms} ms)`);
  });
}
