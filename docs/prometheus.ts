/**
 * Metrics of all streams for Prometheus, from the records that express-yield publishes on `node:diagnostics_channel`.
 * Run it with `npx tsx docs/prometheus.ts`, open http://localhost:3000/clock, then http://localhost:3000/metrics.
 */
import { subscribe } from 'node:diagnostics_channel';
import { setInterval } from 'node:timers/promises';
import express from 'express';
import { type StreamRecord, sse } from 'express-yield';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

const registry = new Registry();
const registers = [registry];

const open = new Gauge({ name: 'sse_streams_open', help: 'Open streams', labelNames: ['route'], registers });
const closed = new Counter({
  name: 'sse_streams_closed_total',
  help: 'Closed streams, by reason',
  labelNames: ['route', 'reason'],
  registers,
});
const events = new Counter({
  name: 'sse_events_total',
  help: 'Events sent',
  labelNames: ['route'],
  registers,
});
const bytes = new Counter({ name: 'sse_bytes_total', help: 'Bytes sent', labelNames: ['route'], registers });
// Separate from the durations of other requests: streams would make their quantiles meaningless.
const duration = new Histogram({
  name: 'sse_stream_duration_seconds',
  help: 'How long streams last',
  labelNames: ['route'],
  buckets: [1, 10, 60, 600, 3_600],
  registers,
});

subscribe('express-yield:open', (message) => {
  const { route } = message as StreamRecord;
  open.inc({ route });
});

subscribe('express-yield:close', (message) => {
  const stream = message as StreamRecord;
  const { route, reason = 'left' } = stream;
  open.dec({ route });
  closed.inc({ route, reason });
  events.inc({ route }, stream.events);
  bytes.inc({ route }, stream.bytes);
  duration.observe({ route }, stream.durationMs / 1_000);
});

const app = express();
app.use(sse());

app.get('/clock', async function* (_req, res) {
  yield new Date().toISOString();
  for await (const _ of setInterval(1_000, null, { signal: res.sse.signal })) yield new Date().toISOString();
});

app.get('/metrics', async (_req, res) => {
  res.type(registry.contentType).send(await registry.metrics());
});

export const server = app.listen(process.env.PORT ?? 3000);
