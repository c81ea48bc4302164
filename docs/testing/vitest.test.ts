import { openStream } from 'express-yield/testing';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { app } from './app.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('ticks each second', async () => {
  const stream = await openStream(app, '/clock');
  expect((await stream.next()).data).toBe('0');
  vi.advanceTimersByTime(1_000);
  expect((await stream.next()).data).toBe('1');
  await stream.close();
});
