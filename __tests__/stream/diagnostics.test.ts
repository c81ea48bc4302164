import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Router } from 'express';
import { Channel, comment, createSse, type StreamRecord } from '../../lib/index';
import { aborted, Gate } from '../support/gate';
import { releaseAll, type ServeOptions, serve } from '../support/serve';

const opened: StreamRecord[] = [];
const closed: StreamRecord[] = [];
let onNext: (() => void) | undefined;

const onOpen = (message: unknown) => {
  // A copy of the record as it is now.
  opened.push({ ...(message as StreamRecord) });
  opening.push(message as StreamRecord);
};
const onClose = (message: unknown) => {
  closed.push(message as StreamRecord);
  onNext?.();
};
const opening: StreamRecord[] = [];

beforeEach(() => {
  for (const list of [opened, opening, closed]) list.length = 0;
  subscribe('express-yield:open', onOpen);
  subscribe('express-yield:close', onClose);
});

afterEach(async () => {
  await releaseAll();
  unsubscribe('express-yield:open', onOpen);
  unsubscribe('express-yield:close', onClose);
  expect(channel('express-yield:open').hasSubscribers).toBe(false);
});

/** Resolves with the records of the closed streams when there are at least `count`. */
async function closedRecords(count: number): Promise<StreamRecord[]> {
  while (closed.length < count) {
    await new Promise<void>((resolve) => {
      onNext = resolve;
    });
  }
  return closed;
}

describe('express-yield:open and express-yield:close', () => {
  it('publish the same record, which is complete at the close', async () => {
    const server = await serve((app) => {
      const router = Router();
      router.get('/items/:id', async function* () {
        yield 'é';
        yield comment('not an event');
        yield { n: 1 };
        return 'done';
      });
      app.use('/api', router);
    });

    const client = await server.openStream('/api/items/7?x=1');
    const body = await client.ended();
    const [record] = await closedRecords(1);

    expect(opened).toMatchObject([{ route: '/api/items/:id', events: 0, bytes: 0, reason: undefined }]);
    expect(opening[0]).toBe(record);
    expect(record).toMatchObject({
      route: '/api/items/:id',
      reason: 'finished',
      events: 3,
      error: undefined,
    });
    expect(record?.bytes).toBe(Buffer.byteLength(body));
    expect(record?.durationMs).toBeGreaterThan(0);
    expect(record?.req.url).toContain('x=1');
    expect(record?.res.statusCode).toBe(200);
  });

  it('count the events and bytes of a channel, with its initial id and its end', async () => {
    const ticks = new Channel<number>();
    const server = await serve((app) => app.get('/ticks', () => ticks));
    const client = await server.openStream('/ticks');
    await client.untilText('id: ');

    for (let n = 0; n < 3; n++) await ticks.publish(n);
    await ticks.end();
    const body = await client.ended();
    const [record] = await closedRecords(1);

    expect(record).toMatchObject({ reason: 'finished', events: 4, bytes: Buffer.byteLength(body) });
  });

  const failure = new Error('broken');

  it.each<
    [string, ServeOptions, (server: Awaited<ReturnType<typeof serve>>, disconnect: () => void) => unknown]
  >([
    ['left', {}, (_server, disconnect) => disconnect()],
    ['closed', {}, (server) => server.sse.close({ spreadMs: 0, graceMs: 0 })],
    ['expired', { maxDurationMs: 20 }, () => undefined],
  ])('report why a stream has ended: %s', async (reason, options, end) => {
    const server = await serve(
      (app) =>
        app.get('/', async function* (_req, res) {
          yield 1;
          await aborted(res.sse.signal);
        }),
      options,
    );
    const client = await server.openStream('/');
    await client.untilText('data: 1');

    void end(server, () => client.drop());

    expect(await closedRecords(1)).toMatchObject([{ reason, events: 1, error: undefined }]);
  });

  it('report why a stream has ended: stalled', async () => {
    const server = await serve(
      (app) =>
        app.get('/', async function* () {
          for (;;) yield 'x'.repeat(60_000);
        }),
      { stallTimeoutMs: 50 },
    );
    const client = await server.openStream('/');
    client.stall();

    expect(await closedRecords(1)).toMatchObject([{ reason: 'stalled' }]);
  });

  it('report why a stream has ended: failed, before and after the head', async () => {
    const server = await serve((app) => {
      app.get('/early', async function* () {
        if (failure) throw failure;
        yield 1;
      });
      app.get('/late', async function* () {
        yield 1;
        throw failure;
      });
    });

    const early = await server.openStream('/early');
    await early.ended();
    const late = await server.openStream('/late');
    await late.ended().catch(() => undefined);

    expect(await closedRecords(2)).toMatchObject([
      { route: '/early', reason: 'failed', events: 0, bytes: 0, error: failure },
      { route: '/late', reason: 'failed', events: 1, error: failure },
    ]);
  });

  it('report why a stream has ended: its channel was closed', async () => {
    const ticks = new Channel();
    const server = await serve((app) => {
      app.get('/whole', () => ticks);
      app.get('/part', async function* (_req, res) {
        yield 1;
        yield* ticks.subscribe(res.sse);
      });
    });
    const whole = await server.openStream('/whole');
    const part = await server.openStream('/part');
    await whole.untilText('id: ');
    await part.untilText('data: 1');

    await ticks.close();
    await Promise.all([whole.ended(), part.ended()]);

    expect(await closedRecords(2)).toMatchObject([{ reason: 'channel' }, { reason: 'channel' }]);
  });

  it('are not published for responses without a stream: HEAD and 204', async () => {
    const server = await serve(
      (app) =>
        app.get('/', async function* () {
          yield 1;
        }),
      { maxStreams: 1, retryMs: false },
    );

    await (await server.openStream('/', { method: 'HEAD' })).ended();
    await (await server.openStream('/', { headers: { 'Last-Event-ID': '~end' } })).ended();

    expect([opened, closed]).toEqual([[], []]);
  });

  it('contain the path if there is no route', async () => {
    const done = new Gate();
    const plain = createServer(
      createSse()(async function* () {
        yield 1;
        done.open();
      }),
    ).listen(0);
    await once(plain, 'listening');

    await (await fetch(`http://127.0.0.1:${(plain.address() as AddressInfo).port}/a/b?c`)).text();
    plain.close();

    expect(await closedRecords(1)).toMatchObject([{ route: '/a/b' }]);
  });
});

it('a stream that opened without a subscriber is not reported when it closes', async () => {
  unsubscribe('express-yield:open', onOpen);
  unsubscribe('express-yield:close', onClose);
  const server = await serve((app) => app.get('/', () => new Channel({ replay: true })));
  const client = await server.openStream('/');
  await client.untilText('\n\n');

  subscribe('express-yield:open', onOpen);
  subscribe('express-yield:close', onClose);
  client.drop();
  await releaseAll();

  expect(closed).toEqual([]);
});
