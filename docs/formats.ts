/** One route in three formats. Run it with `npx tsx docs/formats.ts`. */
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import { sse } from 'express-yield';

/** A report, import or search that finds its rows one after the other. */
async function* rows(signal: AbortSignal) {
  for (let id = 1; id <= 3; id++) {
    await sleep(100, null, { signal });
    yield { id, name: `Row ${id}` };
  }
}

const app = express();

app.get(
  '/rows',
  sse((_req, res) => rows(res.sse.signal), { formats: ['json', 'json-lines', 'event-stream'] }),
);

export const server = app.listen(process.env.PORT ?? 3000);
