/** Changes of a PostgreSQL database, 14 or later. Run it with `DATABASE_URL=postgres://… npx tsx docs/postgres-listen.ts`. */
import { on } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import { Channel, event, sse } from 'express-yield';
import pg from 'pg';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS outbox (id bigserial PRIMARY KEY, type text NOT NULL, data jsonb NOT NULL);

  CREATE OR REPLACE FUNCTION outbox_number() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    -- One writer at a time until it commits: otherwise a later id could become visible first, and the earlier row be missed.
    PERFORM pg_advisory_xact_lock('outbox'::regclass::oid::bigint);
    NEW.id := nextval('outbox_id_seq');
    NOTIFY outbox;
    RETURN NEW;
  END $$;

  CREATE OR REPLACE TRIGGER outbox_number BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION outbox_number();
`;

const changes = new Channel();
/** The id of the last row that has been published. */
let seen: string | undefined;

/** Keeps one connection that listens; after it is lost, a new one continues after the last published row. */
async function follow(): Promise<never> {
  for (;;) {
    const client = new pg.Client({ connectionString: process.env.DATABASE_URL, keepAlive: true });
    await listen(client).catch((error) => console.error(error));
    await client.end().catch(() => undefined);
    await sleep(1_000);
  }
}

async function listen(client: pg.Client): Promise<void> {
  const notifications = on(client, 'notification', { close: ['end'] });
  await client.connect();
  if (seen === undefined) await client.query(SCHEMA);
  await client.query('LISTEN outbox');
  seen ??= (await client.query('SELECT coalesce(max(id), 0) AS id FROM outbox')).rows[0].id;
  await publishNew(client);
  for await (const _ of notifications) await publishNew(client);
}

/** Publishes the rows that were inserted after the last published one. */
async function publishNew(client: pg.Client): Promise<void> {
  const query = 'SELECT id, type, data FROM outbox WHERE id > $1 ORDER BY id LIMIT 1000';
  for (let isMore = true; isMore; ) {
    const { rows } = await client.query(query, [seen]);
    for (const { id, type, data } of rows) {
      await changes.publish(event(type, data));
      seen = id;
    }
    isMore = rows.length === 1_000;
  }
}

const app = express();
app.use(sse());
app.get('/changes', () => changes);

app.listen(process.env.PORT ?? 3000);
void follow();
