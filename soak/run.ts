import { clearTimeout, setTimeout } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from '../tools/child';
import { type Arguments, readArguments } from './arguments';
import type { ClientsQuestion, ClientsSample } from './clients';
import { type Growth, growthOf, type HeapPoint } from './growth';
import { Incidents } from './incidents';
import { startChild } from './processes';
import { endChild, RestartedServer } from './restarts';
import type { ServerQuestion } from './server';
import { leftIn, type ServerSample } from './server-sample';

/** The number of lines of the output; none covers more than a minute. */
const LINES = 12;
const RESTART_EVERY_MS = 10_000;

const COLUMNS = ['min', 'clients', 'streams', 'generators', 'events/s', 'RSS MB', 'heap MB', 'lag p99 ms', 'max ms', 'clients max ms', 'CPU %', 'lost', 'duplicated', 'gaps', 'restarts', 'incidents'] as const; // biome-ignore format: one line

class Soak {
  readonly #arguments: Arguments;
  readonly #incidents = new Incidents();
  readonly #stopping = new AbortController();
  readonly #points: HeapPoint[] = [];
  readonly #steady: Child;
  readonly #restarted: RestartedServer;
  readonly #clients: Child;
  readonly #startedAt = performance.now();
  #before = { at: performance.now(), events: 0, cpuMs: 0 };
  #last: ClientsSample | undefined;

  private constructor(
    args: Arguments,
    incidents: Incidents,
    steady: Child,
    restarted: RestartedServer,
    clients: Child,
  ) {
    this.#arguments = args;
    this.#incidents = incidents;
    this.#steady = steady;
    this.#restarted = restarted;
    this.#clients = clients;
  }

  static async start(args: Arguments): Promise<Soak> {
    const { seed, streams, faultEveryMs } = args;
    const incidents = new Incidents();
    incidents.watchProcess();
    const steady = await startChild<number>('server.ts', ['0', String(seed), 'false']);
    const restarted = await RestartedServer.start(seed + 1_000_000, incidents);
    const numbers = [steady.first, restarted.port, streams, faultEveryMs, seed + 2_000_000];
    const clients = await startChild('clients.ts', numbers.map(String));
    return new Soak(args, incidents, steady.child, restarted, clients.child);
  }

  /** Ends the run early, but in order. */
  stop(): void {
    this.#stopping.abort();
  }

  /** @returns whether the run has passed */
  async run(): Promise<boolean> {
    const { minutes } = this.#arguments;
    const until = this.#startedAt + minutes * 60_000;
    const everyMs = Math.min(60_000, (minutes * 60_000) / LINES);
    console.log(COLUMNS.join('  '));
    for (let restartedAt = performance.now(); performance.now() < until && !this.#stopping.signal.aborted; ) {
      await this.#pause(Math.min(everyMs, until - performance.now()));
      await this.#line();
      if (performance.now() - restartedAt < RESTART_EVERY_MS) continue;
      await this.#restarted.restart();
      restartedAt = performance.now();
    }
    const left = await this.#finish();
    return this.#summarize(left);
  }

  async #pause(ms: number): Promise<void> {
    await sleep(Math.max(0, ms), undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }

  async #line(): Promise<void> {
    const [steady, restarted, clients] = await Promise.all([
      this.#askSteady('sample'),
      this.#restarted.ask('sample'),
      this.#askClients('sample'),
    ]);
    this.#note(restarted.incidents, 'the restarted server');
    const now = performance.now();
    const { at, events, cpuMs } = this.#before;
    const atMinute = (now - this.#startedAt) / 60_000;
    this.#points.push({ atMinute, heapBytes: steady.heapBytes, streams: steady.streams });
    this.#before = { at: now, events: clients.events, cpuMs: steady.cpuMs };
    const cells = {
      min: atMinute.toFixed(1),
      clients: clients.clients,
      streams: steady.streams + restarted.streams,
      generators: steady.generators + restarted.generators,
      'events/s': Math.round((clients.events - events) / ((now - at) / 1_000)),
      'RSS MB': megabytes(steady.rssBytes),
      'heap MB': megabytes(steady.heapBytes),
      'lag p99 ms': steady.lagP99Ms.toFixed(1),
      'max ms': Math.round(steady.lagMaxMs),
      'clients max ms': Math.round(clients.lagMaxMs),
      'CPU %': Math.round(((steady.cpuMs - cpuMs) / (now - at)) * 100),
      lost: clients.lost,
      duplicated: clients.duplicated,
      gaps: clients.gaps,
      restarts: this.#restarted.restarts,
      incidents: this.#incidents.count,
    };
    console.log(COLUMNS.map((column) => String(cells[column]).padStart(column.length)).join('  '));
  }

  /** Lets all clients read to the end. @returns what the steady server still holds then */
  async #finish(): Promise<ServerSample> {
    await this.#askClients('stop-faults');
    await Promise.all([this.#askSteady('finish'), this.#restarted.ask('finish')]);
    await this.#askClients('finish');
    const left = await this.#askSteady('remains');
    await this.#restarted.stop();
    await endChild(this.#steady, await this.#askSteady('stop'), 'the steady server', this.#incidents);
    this.#clients.disconnect();
    await this.#clients.exited;
    return left;
  }

  async #askSteady(question: ServerQuestion): Promise<ServerSample> {
    const sample = await this.#steady.ask<ServerSample>(question);
    this.#note(sample.incidents, 'the steady server');
    return sample;
  }

  async #askClients(question: ClientsQuestion): Promise<ClientsSample> {
    const sample = await this.#clients.ask<ClientsSample>(question);
    this.#note(sample.incidents, 'a client');
    this.#last = sample;
    return sample;
  }

  #note(texts: readonly string[], of: string): void {
    for (const text of texts) {
      this.#incidents.add(text);
      console.log(`INCIDENT of ${of}: ${text}`);
    }
  }

  #summarize(left: ServerSample): boolean {
    const {
      made = 0,
      hostile = 0,
      events = 0,
      lost = 0,
      duplicated = 0,
      gaps = 0,
      ends = 0,
    } = this.#last ?? {};
    const growth = growthOf(this.#points);
    const { restarts, reasons } = this.#restarted;
    console.log(`\n${made} clients and ${hostile} hostile requests; ${restarts} restarts.`);
    console.log(`${events} events: ${lost} lost, ${duplicated} duplicated; ${gaps} gaps, ${ends} ends.`);
    console.log(`Requests to the steady server: ${left.opened}.`);
    console.log(`Ends of the restarted server's streams: ${JSON.stringify(reasons)}.`);
    console.log(`Leaked: ${leftIn(left) || 'nothing'}; heap ${megabytes(left.heapBytes)} MB.`);
    console.log(growthText(growth));
    for (const text of this.#incidents.take()) console.log(`INCIDENT: ${text}`);
    const hasPassed = lost + duplicated + this.#incidents.count === 0 && growth?.isTooMuch !== true;
    console.log(hasPassed ? 'PASSED.' : 'FAILED.');
    return hasPassed;
  }
}

function growthText(growth: Growth | undefined): string {
  if (growth === undefined) return 'Too short to detect growth of the heap.';
  const { firstBytes, lastBytes, bytesPerMinute, boundBytes, isTooMuch } = growth;
  const change = `${megabytes(firstBytes)} MB to ${megabytes(lastBytes)} MB`;
  const slope = `${(bytesPerMinute / 1_000).toFixed(1)} kB a minute`;
  const verdict = `${isTooMuch ? 'MORE' : 'no more'} than the ${megabytes(boundBytes)} MB allowed`;
  return `Heap after warm-up, first to last quarter: ${change}, ${slope}; ${verdict}.`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

/** A run that hangs must not occupy the machine. */
const OVERTIME_MS = 180_000;

async function main(): Promise<void> {
  const args = readArguments();
  const { minutes, streams, faultEveryMs, seed } = args;
  console.log(
    `${minutes} min, ${streams} clients, a fault every ${faultEveryMs / 1_000} s, --seed ${seed}, Node ${process.version}`,
  );
  const soak = await Soak.start(args);
  process.on('SIGINT', () => soak.stop());
  const overtime = setTimeout(
    () => {
      console.log('FAILED: the run has not ended in time.');
      process.exit(1);
    },
    minutes * 60_000 + OVERTIME_MS,
  );
  process.exitCode = (await soak.run()) ? 0 : 1;
  clearTimeout(overtime);
}

void main();
