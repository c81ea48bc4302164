import { deepEqual, equal } from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import { test } from 'node:test';
import type { StreamRecord } from 'express-yield';
import { openStream } from 'express-yield/testing';
import { app, orders } from './app.ts';

const headers = { Authorization: 'Bearer test' };

test('waits for an event', async () => {
  const stream = await openStream(app, '/orders', { headers });
  await orders.publish({ order: 1, state: 'packed' }); // openStream() has resolved, so the route has subscribed
  await orders.publish({ order: 1, state: 'shipped' });
  const events = await stream.until(({ data }) => JSON.parse(data).state === 'shipped');
  equal(events.length, 2);
  await stream.close();
});

test('resumes after the last event ID', async () => {
  const stream = await openStream(app, '/orders', { headers });
  await orders.publish({ order: 2, state: 'packed' });
  await stream.next();
  stream.drop(); // like a laptop that is closed
  await stream.closed();
  await orders.publish({ order: 2, state: 'shipped' });
  await stream.reconnect(); // with the last event ID
  equal((await stream.next()).data, '{"order":2,"state":"shipped"}');
  await stream.close();
  equal(orders.size, 0); // close() has resolved, so the route has unsubscribed
});

test('answers an error with its status', async () => {
  const stream = await openStream(app, '/orders');
  equal(stream.status, 401);
  await stream.close();
});

test('ends, and stays ended', async () => {
  const stream = await openStream(app, '/report');
  const [progress, end] = await stream.take(2);
  deepEqual([progress?.type, progress?.data], ['progress', '{"percent":50}']);
  deepEqual([end?.type, end?.data], ['end', '{"rows":2}']);
  equal((await stream.reconnect()).status, 204); // an EventSource stops on it
  await stream.close();
});

test('is disconnected when it does not read', async () => {
  const closed = new Promise((resolve) => subscribe('express-yield:close', resolve));
  const stream = await openStream(app, '/large');
  stream.stall();
  const { reason } = (await closed) as StreamRecord; // after stallTimeoutMs
  equal(reason, 'stalled');
  await stream.close();
});
