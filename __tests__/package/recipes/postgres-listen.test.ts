import pg from 'pg';
import { type OpenedStream, openStream } from '../../../lib/testing';
import { freePort } from '../../../tools/free-port';
import { endDemos, runDemo } from '../../support/demo';
import { describeWithPostgres } from '../../support/postgres';

const INSERT =
  "INSERT INTO outbox (type, data) SELECT 'order', to_jsonb(n) FROM generate_series($1::int, $2::int) n";
const LISTENERS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT id, type, data FROM outbox%'";

describeWithPostgres('docs/postgres-listen.ts', (server) => {
  let url: string;

  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    await start();
  });

  afterAll(() => endDemos('SIGKILL'));

  async function start(): Promise<void> {
    runDemo('docs/postgres-listen.ts', { DATABASE_URL: server.url, PORT: new URL(url).port });
    await untilListening();
  }

  /** Queries repeatedly, because the process prints nothing when it listens. */
  async function untilListening(): Promise<number> {
    for (;;) {
      const [listener] = await server.query(LISTENERS);
      if (listener !== undefined) return listener.pid as number;
    }
  }

  async function untilWaiting(): Promise<void> {
    const waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    while ((await server.query(waiting)).length === 0);
  }

  function insert(from: number, to = from): Promise<unknown> {
    return server.query(INSERT, [from, to]);
  }

  async function received(stream: OpenedStream, count: number): Promise<string[]> {
    return (await stream.take(count)).map(({ type, data }) => `${type} ${data}`);
  }

  const watch = () => openStream(url, '/changes', { timeoutMs: 10_000 });

  it('sends each row to every client with one connection to the database', async () => {
    const streams = await Promise.all([watch(), watch()]);

    await insert(1, 3);

    for (const stream of streams)
      expect(await received(stream, 3)).toEqual(['order 1', 'order 2', 'order 3']);
    expect(await server.query(LISTENERS)).toHaveLength(1);
    await Promise.all(streams.map((stream) => stream.close()));
  });

  it('replays missed rows to a client that reconnects', async () => {
    const stream = await watch();
    await insert(1);
    await received(stream, 1);
    stream.drop();
    await insert(2);

    await stream.reconnect();

    expect(await received(stream, 1)).toEqual(['order 2']);
    await stream.close();
  });

  it('misses no row written while its connection to the database was lost', async () => {
    const stream = await watch();
    const pid = await untilListening();

    // Insert the rows in one statement, so that no connection listens when they are committed.
    await server.query('SELECT pg_terminate_backend($1)', [pid]);
    await insert(1, 2_500);

    const rows = await received(stream, 2_500);
    expect(rows).toEqual(Array.from({ length: 2_500 }, (_, index) => `order ${index + 1}`));
    await stream.close();
  });

  it('continues after a crash and restart of the database', async () => {
    const stream = await watch();
    await server.crash();
    await server.start();

    await insert(1);

    expect(await received(stream, 1)).toEqual(['order 1']);
    await stream.close();
  });

  it('misses no row of a transaction that starts before another and commits after it', async () => {
    const stream = await watch();
    const early = new pg.Client({ connectionString: server.url });
    await early.connect();
    await early.query('BEGIN');
    await early.query(INSERT, [1, 1]);

    const late = insert(2);
    await Promise.race([late, untilWaiting()]);
    await early.query('COMMIT');
    await Promise.all([late, early.end()]);

    expect(await received(stream, 2)).toEqual(['order 1', 'order 2']);
    await stream.close();
  });

  it('sends a gap after a restart of the process', async () => {
    const stream = await watch();
    await insert(1);
    await received(stream, 1);
    await endDemos('SIGKILL');
    await insert(2);
    await start();

    await stream.reconnect();

    expect(await received(stream, 1)).toEqual([expect.stringMatching(/^gap /)]);
    await stream.close();
  });
});
