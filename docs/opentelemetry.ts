/**
 * A span for each stream, from the records that express-yield publishes on `node:diagnostics_channel`. The tracer is the one
 * that your OpenTelemetry SDK has registered; without an SDK the spans cost nothing and are not recorded.
 */
import { subscribe } from 'node:diagnostics_channel';
import { type Span, SpanStatusCode, trace } from '@opentelemetry/api';
import express from 'express';
import { type StreamRecord, sse } from 'express-yield';

/** The same record is published when a stream opens and when it closes. */
const spans = new WeakMap<StreamRecord, Span>();

subscribe('express-yield:open', (message) => {
  const stream = message as StreamRecord;
  const span = trace.getTracer('express-yield').startSpan(`SSE ${stream.route}`, {
    attributes: { 'http.route': stream.route, 'http.request.method': stream.req.method ?? '' },
  });
  spans.set(stream, span);
});

subscribe('express-yield:close', (message) => {
  const stream = message as StreamRecord;
  const span = spans.get(stream);
  span?.setAttributes({ 'sse.events': stream.events, 'sse.bytes': stream.bytes, 'sse.end': stream.reason });
  if (stream.reason === 'failed') {
    span?.recordException(stream.error as Error);
    span?.setStatus({ code: SpanStatusCode.ERROR });
  }
  span?.end();
});

const app = express();
app.use(sse());

app.get('/report', async function* () {
  yield { percent: 50 };
  return { percent: 100 };
});

app.get('/broken', async function* () {
  yield { percent: 50 };
  throw new Error('The disk is full.');
});

export const server = app.listen(process.env.PORT ?? 3000);
