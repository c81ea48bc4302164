import { openStream } from 'express-yield/testing';
import { app, orders } from './app.ts';

beforeEach(() => jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] }));
afterEach(() => jest.useRealTimers());

test('ticks each second', async () => {
  const stream = await openStream(app, '/clock');
  expect((await stream.next()).data).toBe('0');
  jest.advanceTimersByTime(1_000);
  expect((await stream.next()).data).toBe('1');
  await stream.close();
});

test('opens a channel with fake timers', async () => {
  const opening = openStream(app, '/orders', { headers: { Authorization: 'Bearer test' } });
  while (orders.size === 0) await new Promise(setImmediate);
  jest.advanceTimersByTime(50); // a quiet generator sends its headers only now; a channel does not wait
  const stream = await opening;
  await orders.publish({ order: 1, state: 'packed' });
  expect((await stream.next()).data).toBe('{"order":1,"state":"packed"}');
  await stream.close();
});
