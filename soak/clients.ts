/**
 * All clients of the soak, in a process of their own: `clients.ts <steady port> <restarted port> <streams> <fault ms> <seed>`.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { clearInterval, setInterval, setTimeout } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientOptions } from './client';
import { HOSTILE_REQUESTS, sendHostileRequest } from './hostile';
import { Incidents } from './incidents';
import { ChannelLedger, FloodLedger, type Ledger, NumbersLedger, type Tally } from './ledger';
import { Random } from './random';
import { RUNS, TICK_FEEDS, TOPICS } from './sizes';

/** A request of the parent process: report figures; stop all faults; or report figures once all streams have ended. */
export type ClientsQuestion = 'sample' | 'stop-faults' | 'finish';

export interface ClientsSample {
  readonly clients: number;
  readonly made: number;
  readonly hostile: number;
  readonly events: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly gaps: number;
  readonly ends: number;
  /** The delay of this process's event loop since the last sample. */
  readonly lagMaxMs: number;
  readonly incidents: readonly string[];
}

/** The share of clients whose server is restarted from time to time. */
const RESTARTED_SHARE = 0.25;

/** How clients are added at the start. */
const RAMP = { clients: 20, everyMs: 50 };

const HOSTILE_EVERY_MS = 200;
const SILENCE_CHECK_MS = 5_000;

/** A stream that has not ended by then is stuck. */
const FINISH_MS = 40_000;

const [steadyPort = 0, restartedPort = 0, streams = 0, faultEveryMs = 0, seed = 0] = process.argv
  .slice(2)
  .map(Number);
const random = new Random(seed);
const incidents = new Incidents();
incidents.watchProcess();
const tally: Tally = { events: 0, lost: 0, duplicated: 0, gaps: 0, ends: 0, incidents };
const clients = new Set<Client>();
const lag = monitorEventLoopDelay({ resolution: 10 });
lag.enable();
let made = 0;
let hostile = 0;
let stopping = false;

interface Kind {
  readonly weight: number;
  readonly make: () => Pick<ClientOptions, 'path' | 'ledger'> & Partial<ClientOptions>;
}

const part = (name: string, every = 1, rest = 0, fromFirst = false): Ledger =>
  new ChannelLedger({ name, every, rest, fromFirst }, tally);
const tick = (): number => random.index(TICK_FEEDS);

const KINDS: readonly Kind[] = [
  { weight: 30, make: () => whole(`/ticks/${tick()}`) },
  { weight: 20, make: () => fifth(tick(), random.index(5)) },
  { weight: 10, make: () => whole(`/ticks/${tick()}/snapshot`) },
  { weight: 3, make: () => ({ ...whole(`/ticks/${tick()}/throwing`), mayFail: true }) },
  { weight: 15, make: () => whole(`/topics/${random.index(TOPICS)}`) },
  { weight: 8, make: () => run(random.index(RUNS)) },
  { weight: 8, make: () => numbers('numbers', 20 + random.index(100)) },
  { weight: 3, make: () => numbers('throws', 20 + random.index(40)) },
  { weight: 3, make: () => question(10 + random.index(200)) },
  { weight: 0.7, make: () => whole('/fat') },
  { weight: 0.7, make: () => whole('/fat/skipping') },
  { weight: 0.7, make: () => ({ path: '/flood', ledger: new FloodLedger(tally), neverReads: true }) },
];

function whole(path: string) {
  return { path, ledger: part(path) };
}

function fifth(name: number, rest: number) {
  const path = `/ticks/${name}/fifth/${rest}`;
  return { path, ledger: part(path, 5, rest) };
}

function run(name: number) {
  const path = `/runs/${name}`;
  return { path, ledger: part(path, 1, 0, true), mayFail: true };
}

function numbers(name: string, count: number) {
  const path = `/${name}/${count}`;
  return { path, ledger: new NumbersLedger(path, count, tally), mayFail: name === 'throws' };
}

function question(count: number) {
  return { path: '/ask', body: JSON.stringify({ count }), ledger: new NumbersLedger('/ask', count, tally) };
}

function newClient(): void {
  const restarts = random.chance(RESTARTED_SHARE);
  const port = restarts ? restartedPort : steadyPort;
  const made = random.pick(KINDS).make();
  const name = `${made.path} of the ${restarts ? 'restarted' : 'steady'} server`;
  const options: ClientOptions = { name, port, restarts, mayFail: false, neverReads: false, ...made };
  const client = new Client(options, { tally, random, faultEveryMs, onDone: () => replace(client) });
  clients.add(client);
}

/** Replaces a client that is done, until the faults stop. */
function replace(client: Client): void {
  clients.delete(client);
  if (stopping) return;
  setTimeout(() => {
    if (stopping) return;
    made++;
    newClient();
  }, random.waitMs(200));
}

async function ramp(): Promise<void> {
  for (let count = 0; count < streams && !stopping; count++) {
    made++;
    newClient();
    if (count % RAMP.clients === 0) await sleep(RAMP.everyMs);
  }
}

function sendHostile(): void {
  const request = HOSTILE_REQUESTS[hostile++ % HOSTILE_REQUESTS.length];
  if (request !== undefined) sendHostileRequest(request, steadyPort, tally);
}

const silenceChecks = setInterval(() => {
  for (const client of clients) client.checkSilence();
}, SILENCE_CHECK_MS);
const hostileRequests = setInterval(sendHostile, HOSTILE_EVERY_MS);

/** Stops faults and new clients; all read to the end. */
function stopFaults(): void {
  stopping = true;
  clearInterval(hostileRequests);
  for (const client of clients) client.stopFaults();
}

/** The servers have finished their channels. */
async function finish(): Promise<void> {
  const until = performance.now() + FINISH_MS;
  while (clients.size > 0 && performance.now() < until) await sleep(50);
  clearInterval(silenceChecks);
  for (const client of clients) incidents.add(`not ended: ${client.about}`);
}

function sample(): ClientsSample {
  const { incidents: _, ...counts } = tally;
  const lagMaxMs = lag.max / 1e6;
  lag.reset();
  return { clients: clients.size, made, hostile, ...counts, lagMaxMs, incidents: incidents.take() };
}

async function answer(question: ClientsQuestion): Promise<ClientsSample> {
  if (question === 'stop-faults') stopFaults();
  if (question === 'finish') await finish();
  return sample();
}

process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit());
process.on('message', async (question: ClientsQuestion) => process.send?.(await answer(question)));
process.send?.('ready');
void ramp();
