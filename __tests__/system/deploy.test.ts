import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Counts, CrowdReport, CrowdWord } from '../../soak/crowd';
import type { DeployCommand, DeployMessage } from '../support/deploy-server';
import { describeWithRedis } from '../support/redis';

const READERS = Number(process.env.DEPLOY_READERS ?? 5_000);

/** The number of events that each server publishes before the deploy, and after it. */
const QUIET_EVENTS = 3;

/** The old server ends its streams within this time, each at a random moment. */
const SPREAD_MS = 7_000;

const TENTHS = 10;

/**
 * The maximum number of streams that may end between two consecutive events. About ten events are published within the
 * spread. Unlike the times, this does not depend on the speed of the machine. Without a spread, all streams end between
 * the same two events.
 */
const MAX_ENDS_BETWEEN_EVENTS = READERS * 0.4;

jest.setTimeout(120_000);

/** A child process. Keeps all of its messages. */
class ChildProgram<Message extends { readonly kind: string }> {
  static readonly alive = new Set<ChildProcess>();
  readonly messages: Message[] = [];
  readonly process: ChildProcess;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;

  constructor(file: string, ...args: ReadonlyArray<string | number>) {
    const execArgv = ['--no-warnings', '--import', 'tsx'];
    this.process = fork(join(__dirname, file), args.map(String), { execArgv });
    ChildProgram.alive.add(this.process);
    this.process.on('message', (message: Message) => this.messages.push(message));
    this.exited = once(this.process, 'exit').then(([code, signal]) => {
      ChildProgram.alive.delete(this.process);
      return { code, signal };
    });
  }

  async #exitedBefore(kind: string): Promise<never> {
    const { code, signal } = await this.exited;
    throw new Error(`The process exited with ${code ?? signal} before it sent '${kind}'.`);
  }

  /** Resolves with the first message of this kind. Skips the first `after` messages. */
  async message<Kind extends Message['kind']>(
    kind: Kind,
    after = 0,
  ): Promise<Extract<Message, { kind: Kind }>> {
    for (;;) {
      const found = this.messages.slice(after).find((message) => message.kind === kind);
      if (found !== undefined) return found as Extract<Message, { kind: Kind }>;
      await Promise.race([once(this.process, 'message'), this.#exitedBefore(kind)]);
    }
  }
}

class Server extends ChildProgram<DeployMessage> {
  constructor(name: string, redisPort: number) {
    super('../support/deploy-server.ts', name, redisPort, SPREAD_MS);
  }

  send(command: DeployCommand): void {
    this.process.send(command);
  }

  async listen(port: number): Promise<number> {
    this.send({ kind: 'listen', port });
    return (await this.message('listening')).port;
  }

  async publishesMore(): Promise<void> {
    for (let i = 0; i < QUIET_EVENTS; i++) await this.message('published', this.messages.length);
  }

  get published(): number {
    return this.messages.findLast((message) => message.kind === 'published')?.count ?? 0;
  }

  get incidents(): string[] {
    return this.messages.flatMap((message) => (message.kind === 'incident' ? [message.text] : []));
  }
}

afterEach(async () => {
  for (const child of ChildProgram.alive) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

/** The outcome of a deploy. */
interface Deploy {
  readonly report: CrowdReport;
  readonly published: Counts;
  readonly exits: ReadonlyArray<{ readonly code: number | null; readonly signal: string | null }>;
  readonly incidents: readonly string[];
}

/**
 * Replaces one server by another on the same port, with an interruption: after the old server has closed the port, the
 * new one listens only when a connection of a reader has been refused. The reader retries as an `EventSource` does.
 */
async function deploy(redisPort: number): Promise<Deploy> {
  const [old, next] = [new Server('a', redisPort), new Server('b', redisPort)];
  await Promise.all([old.message('ready'), next.message('ready')]);
  const port = await old.listen(0);
  const crowd = new ChildProgram<CrowdWord>('../../soak/crowd.ts', port, READERS);
  await crowd.message('placed');
  old.send({ kind: 'publish' });
  next.send({ kind: 'publish' });
  await old.publishesMore();

  old.process.kill('SIGTERM');
  await old.message('released');
  await crowd.message('refused');
  await next.listen(port);
  await crowd.message('returned');
  const firstExit = await old.exited;

  await next.publishesMore();
  next.send({ kind: 'end', others: redisPort === 0 ? {} : { a: old.published } });
  const { report } = await crowd.message('over');
  next.process.kill('SIGTERM');
  const exits = [firstExit, await next.exited];
  crowd.process.disconnect();
  await crowd.exited;
  const published = { a: old.published, b: next.published };
  return { report, published, exits, incidents: [...old.incidents, ...next.incidents] };
}

/** The number of reconnections in each tenth of the spread, or of the actual time if a busy machine took longer. */
function histogram(returnedAtMs: readonly number[]): number[] {
  const counts = Array<number>(TENTHS).fill(0);
  const tenthMs = Math.max(SPREAD_MS, ...returnedAtMs) / TENTHS;
  for (const ms of returnedAtMs) {
    const tenth = Math.min(TENTHS - 1, Math.floor(ms / tenthMs));
    counts[tenth] = (counts[tenth] ?? 0) + 1;
  }
  return counts;
}

function print(name: string, { report, published, exits }: Deploy): void {
  const { events, lost, doubled, readersByGaps, readersByFirstEnd, refused, returnedAtMs } = report;
  const codes = exits.map(({ code }) => code).join(' and ');
  process.stdout.write(`
${name}: ${READERS} streams; published ${JSON.stringify(published)}, received ${events}, lost ${lost}, duplicated ${doubled}
  readers by number of gaps ${JSON.stringify(readersByGaps)}, connections refused ${refused}, exit codes ${codes}
  readers by number of events before the first end: ${JSON.stringify(readersByFirstEnd)}
  reconnections in each tenth: ${histogram(returnedAtMs).join(' ')}; the last after ${Math.round(Math.max(...returnedAtMs))} ms
`);
}

function expectOrder({ report, exits, incidents }: Deploy): void {
  const { lost, doubled, cut, errors } = report;
  expect({ lost, doubled, cut, errors, incidents }).toEqual({ lost: 0, doubled: 0, cut: 0, errors: [], incidents: [] }); // biome-ignore format: one line
  // Both processes exited without a signal.
  expect(exits).toEqual(Array(2).fill({ code: 0, signal: null }));
  expect(report.returnedAtMs).toHaveLength(READERS);
  expect(Math.max(...Object.values(report.readersByFirstEnd))).toBeLessThanOrEqual(MAX_ENDS_BETWEEN_EVENTS);
}

describeWithRedis('a deploy under traffic, with the log on Redis', (redis) => {
  it('loses and duplicates no event, spreads the reconnections, and both processes exit cleanly', async () => {
    const done = await deploy(redis.port);
    print('on Redis', done);

    const { report, published } = done;
    expectOrder(done);
    expect(report.events).toBe(READERS * ((published.a ?? 0) + (published.b ?? 0)));
    expect(report.readersByGaps).toEqual({ 0: READERS });
    // All readers received the same events in the same order.
    expect(report.sequences).toBe(1);
  });
});

describe('a deploy under traffic, with the log in memory', () => {
  it('sends every client one gap, then all events that the new process retains', async () => {
    const done = await deploy(0);
    print('in memory', done);

    expectOrder(done);
    expect(done.report.readersByGaps).toEqual({ 1: READERS });
  });
});
