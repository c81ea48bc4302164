import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Counts, CrowdReport, CrowdWord } from '../../soak/crowd';
import type { DeployWish, DeployWord } from '../support/deploy-server';
import { describeWithRedis } from '../support/redis';

const READERS = 5_000;

/** So many events of each server come before the deploy, and after it. */
const QUIET_EVENTS = 3;

/** Within so long the streams of the old server are told to end, each at a random moment. */
const SPREAD_MS = 7_000;

const TENTHS = 10;

/**
 * Between two events, of which there are ten in the spread, so many of all streams may end. How fast a busy machine is
 * does not matter to that, as it does to the times: without a spread all streams end between the same two.
 */
const MOST_BETWEEN_EVENTS = READERS * 0.4;

jest.setTimeout(120_000);

/** A process that tells what it does; all of it is kept. */
class Teller<Word extends { readonly kind: string }> {
  static readonly alive = new Set<ChildProcess>();
  readonly words: Word[] = [];
  readonly process: ChildProcess;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;

  constructor(file: string, ...args: ReadonlyArray<string | number>) {
    const execArgv = ['--no-warnings', '--import', 'tsx'];
    this.process = fork(join(__dirname, file), args.map(String), { execArgv });
    Teller.alive.add(this.process);
    this.process.on('message', (word: Word) => this.words.push(word));
    this.exited = once(this.process, 'exit').then(([code, signal]) => {
      Teller.alive.delete(this.process);
      return { code, signal };
    });
  }

  async #endedInstead(kind: string): Promise<never> {
    const { code, signal } = await this.exited;
    throw new Error(`A process ended with ${code ?? signal} before it was '${kind}'.`);
  }

  /** Resolves with the first such word after the first so many. */
  async told<Kind extends Word['kind']>(kind: Kind, after = 0): Promise<Extract<Word, { kind: Kind }>> {
    for (;;) {
      const word = this.words.slice(after).find((word) => word.kind === kind);
      if (word !== undefined) return word as Extract<Word, { kind: Kind }>;
      await Promise.race([once(this.process, 'message'), this.#endedInstead(kind)]);
    }
  }
}

class Server extends Teller<DeployWord> {
  constructor(name: string, redisPort: number) {
    super('../support/deploy-server.ts', name, redisPort, SPREAD_MS);
  }

  wish(wish: DeployWish): void {
    this.process.send(wish);
  }

  async listen(port: number): Promise<number> {
    this.wish({ kind: 'listen', port });
    return (await this.told('listening')).port;
  }

  async publishesMore(): Promise<void> {
    for (let i = 0; i < QUIET_EVENTS; i++) await this.told('published', this.words.length);
  }

  get published(): number {
    return this.words.findLast((word) => word.kind === 'published')?.count ?? 0;
  }

  get incidents(): string[] {
    return this.words.flatMap((word) => (word.kind === 'incident' ? [word.text] : []));
  }
}

afterEach(async () => {
  for (const child of Teller.alive) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

/** What came of a deploy. */
interface Deploy {
  readonly report: CrowdReport;
  readonly published: Counts;
  readonly exits: ReadonlyArray<{ readonly code: number | null; readonly signal: string | null }>;
  readonly incidents: readonly string[];
}

/**
 * Replaces one server by another on the same port, the hard way: the old one gives the port up, and the new one takes it
 * only when a reader has been refused in between, who tries again as an `EventSource` does.
 */
async function deploy(redisPort: number): Promise<Deploy> {
  const [old, next] = [new Server('a', redisPort), new Server('b', redisPort)];
  await Promise.all([old.told('ready'), next.told('ready')]);
  const port = await old.listen(0);
  const crowd = new Teller<CrowdWord>('../soak/crowd.ts', port, READERS);
  await crowd.told('placed');
  old.wish({ kind: 'publish' });
  next.wish({ kind: 'publish' });
  await old.publishesMore();

  old.process.kill('SIGTERM');
  await old.told('released');
  await crowd.told('refused');
  await next.listen(port);
  await crowd.told('returned');
  const firstExit = await old.exited;

  await next.publishesMore();
  next.wish({ kind: 'end', others: redisPort === 0 ? {} : { a: old.published } });
  const { report } = await crowd.told('over');
  next.process.kill('SIGTERM');
  const exits = [firstExit, await next.exited];
  crowd.process.disconnect();
  await crowd.exited;
  const published = { a: old.published, b: next.published };
  return { report, published, exits, incidents: [...old.incidents, ...next.incidents] };
}

/** How many came back in each tenth of the spread, or of the time that it took if a busy machine took longer. */
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
${name}: ${READERS} streams; published ${JSON.stringify(published)}, received ${events}, lost ${lost}, doubled ${doubled}
  readers by number of gaps ${JSON.stringify(readersByGaps)}, connections refused ${refused}, exit codes ${codes}
  ended after so many events: ${JSON.stringify(readersByFirstEnd)}
  back in each tenth: ${histogram(returnedAtMs).join(' ')}; the last after ${Math.round(Math.max(...returnedAtMs))} ms
`);
}

function expectOrder({ report, exits, incidents }: Deploy): void {
  const { lost, doubled, cut, errors } = report;
  expect({ lost, doubled, cut, errors, incidents }).toEqual({ lost: 0, doubled: 0, cut: 0, errors: [], incidents: [] }); // biome-ignore format: one line
  // By themselves: a signal would have taken the place of the code.
  expect(exits).toEqual(Array(2).fill({ code: 0, signal: null }));
  expect(report.returnedAtMs).toHaveLength(READERS);
  expect(Math.max(...Object.values(report.readersByFirstEnd))).toBeLessThanOrEqual(MOST_BETWEEN_EVENTS);
}

describeWithRedis('a deploy under traffic, with the log on Redis', (redis) => {
  it('loses and doubles nothing for anyone, spreads the reconnections, and both processes end by themselves', async () => {
    const done = await deploy(redis.port);
    print('on Redis', done);

    const { report, published } = done;
    expectOrder(done);
    expect(report.events).toBe(READERS * ((published.a ?? 0) + (published.b ?? 0)));
    expect(report.readersByGaps).toEqual({ 0: READERS });
    // All have read the same events in the same order.
    expect(report.sequences).toBe(1);
  });
});

describe('a deploy under traffic, with the log in memory', () => {
  it('tells everybody of the gap, once, and then all that the new process retains', async () => {
    const done = await deploy(0);
    print('in memory', done);

    expectOrder(done);
    expect(done.report.readersByGaps).toEqual({ 1: READERS });
  });
});
