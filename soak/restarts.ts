import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from '../tools/child';
import type { Incidents } from './incidents';
import { startChild } from './processes';
import type { ServerQuestion } from './server';
import { leftIn, type ServerSample } from './server-sample';

/** A server that has not exited after this time is killed, which is an incident. */
const EXIT_MS = 10_000;

/** A server that is restarted on its port repeatedly. */
export class RestartedServer {
  readonly port: number;
  restarts = 0;
  /** Why the streams of all earlier processes have ended. */
  readonly reasons: Record<string, number> = {};
  readonly #incidents: Incidents;
  #seed: number;
  #child: Child;

  private constructor(child: Child, port: number, seed: number, incidents: Incidents) {
    this.#child = child;
    this.port = port;
    this.#seed = seed;
    this.#incidents = incidents;
  }

  static async start(seed: number, incidents: Incidents): Promise<RestartedServer> {
    const { child, first } = await startChild<number>('server.ts', ['0', String(seed), 'true']);
    return new RestartedServer(child, first, seed, incidents);
  }

  ask(question: ServerQuestion): Promise<ServerSample> {
    return this.#child.ask<ServerSample>(question);
  }

  /** Restarts the server. Its logs are in memory, so they are lost. */
  async restart(): Promise<void> {
    await this.stop();
    const args = [String(this.port), String(++this.#seed), 'true'];
    this.#child = (await startChild('server.ts', args)).child;
    this.restarts++;
  }

  async stop(): Promise<void> {
    const left = await this.ask('stop');
    for (const [reason, count] of Object.entries(left.reasons))
      this.reasons[reason] = (this.reasons[reason] ?? 0) + count;
    await endChild(this.#child, left, 'the restarted server', this.#incidents);
  }
}

/** Waits until a stopped server exits, and reports what it has leaked. */
export async function endChild(
  child: Child,
  left: ServerSample,
  name: string,
  incidents: Incidents,
): Promise<void> {
  for (const text of left.incidents) incidents.add(`${name}: ${text}`);
  const remains = leftIn(left);
  if (remains !== '') incidents.add(`${name} has leaked ${remains}`);
  child.disconnect();
  const code = await Promise.race([child.exited, sleep(EXIT_MS, 'late' as const, { ref: false })]);
  if (code === 0) return;
  incidents.add(`${name} ${code === 'late' ? 'has not exited' : `exited with ${code}`}`);
  child.kill();
}
