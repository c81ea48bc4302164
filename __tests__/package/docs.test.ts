import { execFile } from 'node:child_process';
import diagnostics from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { sse } from '../../lib/index';
import { noStreams, startRecipe, stopRecipe } from '../support/recipe';

/** The examples subscribe for the lifetime of the process, which other tests share. */
const subscribed = jest.spyOn(diagnostics, 'subscribe');

afterAll(() => {
  for (const [name, listener] of subscribed.mock.calls) diagnostics.unsubscribe(name, listener);
  expect(diagnostics.hasSubscribers('express-yield:open')).toBe(false);
});

/** Runs `use` with the example's server and waits until no stream is open. */
async function withExample(name: string, use: (url: string) => Promise<void>): Promise<void> {
  const example = await startRecipe(name);
  await use(example.url);
  await noStreams();
  await stopRecipe(example);
}

describe('docs/prometheus.ts', () => {
  it('counts open streams, the reasons for closing, events and bytes', () =>
    withExample('prometheus', async (url) => {
      const metrics = async () => (await fetch(`${url}/metrics`)).text();
      const leaving = new AbortController();
      const response = await fetch(`${url}/clock`, { signal: leaving.signal });
      const first = await response.body?.getReader().read();
      expect(Buffer.from(first?.value ?? []).toString()).toMatch(/^data: \S+Z\n\n$/);
      expect(await metrics()).toContain('sse_streams_open{route="/clock"} 1\n');

      leaving.abort();
      while (sse.size > 0) await setImmediate();

      const text = await metrics();
      expect(text).toContain('sse_streams_open{route="/clock"} 0\n');
      expect(text).toContain('sse_streams_closed_total{route="/clock",reason="left"} 1\n');
      expect(text).toContain('sse_events_total{route="/clock"} 1\n');
      expect(text).toContain('sse_bytes_total{route="/clock"} 32\n');
      expect(text).toContain('sse_stream_duration_seconds_count{route="/clock"} 1\n');
    }));
});

describe('docs/opentelemetry.ts', () => {
  it('creates a span for each stream, with the end reason and the error', async () => {
    const exporter = new InMemorySpanExporter();
    trace.setGlobalTracerProvider(
      new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    );

    await withExample('opentelemetry', async (url) => {
      await (await fetch(`${url}/report`)).text();
      // The answer is incomplete, so reading it rejects.
      const broken = fetch(`${url}/broken`).then((response) => response.text());
      await expect(broken).rejects.toThrow('terminated');
      while (exporter.getFinishedSpans().length < 2) await setImmediate();
    });

    const [report, broken] = exporter.getFinishedSpans();
    expect(report).toMatchObject({
      name: 'SSE /report',
      attributes: { 'http.route': '/report', 'sse.events': 2, 'sse.end': 'finished' },
    });
    expect(broken).toMatchObject({
      name: 'SSE /broken',
      attributes: { 'sse.events': 1, 'sse.end': 'failed' },
      events: [{ name: 'exception', attributes: { 'exception.message': 'The disk is full.' } }],
    });
    trace.disable();
  });
});

describe('docs/troubleshooting.md', () => {
  const page = readFileSync(join(__dirname, '../../docs/troubleshooting.md'), 'utf8');
  const programs = [...page.matchAll(/^### (http: [^\n]*)\n[^#]*?^```js\n(.*?)^```$/gms)].map(
    ([, title = '', code = '']) => ({ title, code }),
  );

  it('has a program of at most 18 lines for each fault of Node', () => {
    expect(programs.map(({ code }) => code.split('\n').length <= 18)).toEqual([true, true]);
  });

  // Versions of Node differ in what they print.
  it.each(programs)('shows whether Node has the fault: $title', async ({ code }) => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--eval', code]);

    expect(stderr).toBe('');
    expect(stdout).toMatch(/^(?:complete|frozen after \d+ bytes|closed|open after 3 s)\n$/);
  });
});
