import type { Response } from 'express';
import { onExpress } from './apps';
import type { Build, Topic } from './contender';

/**
 * Faulty implementations, for the topics at which no package fails: they show that the probes can fail. Each writes an
 * event stream itself, so that it has no other fault.
 */
export const FAULTY: ReadonlyArray<readonly [Topic, string, Build]> = [
  ['takesGenerators', 'sends only the first value', ({ source }) => firstOf(source())],
  ['endsWaiting', 'never aborts the signal', ({ source }) => streams(source())],
  [
    'endsWaiting',
    'aborts the signal before the client disconnects',
    ({ source }) => streams(source(AbortSignal.abort())),
  ],
  ['sendsJson', 'sends the text unchanged', ({ text }) => publishing({ first: () => text })],
  ['sendsToOne', 'sends to no client', () => publishing({ to: () => [] })],
  ['sendsToOne', 'sends to all', () => publishing()],
  ['broadcasts', 'sends only to the last client', () => publishing({ to: (open) => open.slice(-1) })],
  ['replays', 'retains nothing', () => publishing()],
  ['replays', 'replays all events', () => publishing({ first: (sent) => sent.join('\n\ndata: ') })],
  ['endsAll', 'does nothing', () => publishing({ end: () => undefined })],
  ['endsAll', 'cuts the connections', () => publishing({ end: (open) => open.map((res) => res.destroy()) })],
  ['negotiates', 'always streams', () => publishing()],
];

interface Fault {
  readonly to?: (open: readonly Response[]) => readonly Response[];
  readonly first?: (sent: readonly string[]) => string;
  readonly end?: (open: readonly Response[]) => unknown;
}

function publishing({ to = (open) => open, first = () => 'first', end }: Fault = {}) {
  const open: Response[] = [];
  const sent: string[] = [];
  return onExpress(
    (app) =>
      app.get('/', (_req, res) => {
        write(res, first(sent));
        open.push(res);
        res.on('close', () => open.splice(open.indexOf(res), 1));
      }),
    {
      publish: (data) => {
        sent.push(data);
        for (const res of to(open)) write(res, data);
      },
      subscribers: () => open.length,
      end: () => end?.([...open]),
    },
  );
}

function streams(source: AsyncIterable<string>) {
  return onExpress((app) =>
    app.get('/', async (_req, res) => {
      for await (const value of source) write(res, value);
    }),
  );
}

function firstOf(source: AsyncGenerator<string>) {
  return onExpress((app) => app.get('/', async (_req, res) => write(res, (await source.next()).value)));
}

function write(res: Response, data: string): void {
  if (!res.headersSent) res.set('Content-Type', 'text/event-stream');
  res.write(`data: ${data}\n\n`);
}
