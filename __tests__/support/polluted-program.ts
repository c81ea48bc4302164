/**
 * Puts each property that is named on the command line on `Object.prototype`, in a process of its own, and prints what the
 * package then does, as JSON: `[name, what it did]`, first without any.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { Channel, createSse, event, memoryLog, SseError, type Subscribable } from '../../lib';

const VALUES: readonly unknown[] = ['polluted', 1, { a: 1 }];

/** The ids of a log in memory begin with another text in each log. */
const EPOCH = /[0-9a-z]{12,}-(\d+)/g;

/** The bytes of a response, except its date. */
async function responseTo(port: number, path: string, lastEventId: string): Promise<string> {
  const id = lastEventId === '' ? '' : `Last-Event-ID: ${lastEventId}\r\n`;
  const socket = connect(port, '127.0.0.1');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${id}Connection: close\r\n\r\n`);
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += chunk;
  const end = text.indexOf('\r\n\r\n');
  const head = text.slice(0, end).replace(/^Date: .*\r\n/m, '');
  // Which events share a chunk depends on when they become ready.
  const body = text.slice(end + 2).replace(/\r\n[\da-f]+\r\n/g, '');
  return `${head}\n${body}`.replace(EPOCH, '$1');
}

async function responses(): Promise<string[]> {
  const channel = new Channel({ log: memoryLog({ maxEvents: 10 }), replay: true });
  await channel.publish({ n: 1 });
  await channel.publish(event('row', 2));
  await channel.end();
  const sse = createSse({ keepAliveMs: false });
  const routes: Readonly<Record<string, () => unknown>> = {
    '/': async function* () {
      yield { n: 1 };
      yield event('row', 2, { id: 3 });
      return event('done', 4);
    },
    '/channel': () => channel,
    '/filter': () => channel.filter(() => true),
    '/fails': async function* () {
      yield 1;
      throw new Error('failed');
    },
  };
  const server = createServer((req, res) => {
    const route = routes[req.url ?? ''];
    if (route !== undefined) sse(route, { retryMs: 5, onError: () => 'failed' })(req, res);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const texts: string[] = [];
  for (const path of Object.keys(routes)) {
    for (const id of ['', 'unknown']) {
      texts.push(await responseTo(port, path, id));
    }
  }
  server.close();
  server.closeAllConnections();
  return texts;
}

async function iterated(channel: Subscribable<unknown>): Promise<unknown> {
  for await (const { type, data } of channel) return [type, data];
  return undefined;
}

async function observe(): Promise<unknown> {
  const channel = new Channel({ replay: true });
  await channel.publish('x');
  const error = new SseError('ERR_SSE_OVERFLOW', 'Too slow.', {});
  const details = [error.status, error.headers, Object.hasOwn(error, 'cause')].map(String);
  const texts = await responses();
  return [texts, details, await iterated(channel)];
}

async function observeWith(name: string, value: unknown): Promise<unknown> {
  Reflect.set(Object.prototype, name, value);
  try {
    return await observe();
  } catch (error) {
    return String(error);
  } finally {
    Reflect.deleteProperty(Object.prototype, name);
  }
}

async function main(): Promise<void> {
  console.log(JSON.stringify(['', await observe()]));
  for (const name of process.argv.slice(2)) {
    for (const value of VALUES) console.log(JSON.stringify([name, await observeWith(name, value)]));
  }
  await setImmediate();
  process.exit();
}

void main();
