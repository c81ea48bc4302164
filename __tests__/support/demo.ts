import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { TYPESCRIPT_ARGS, type UserProject } from './user-project';

export const ROOT = join(__dirname, '../..');

/** A script that runs in its own process, such as the demo. */
export class DemoProcess {
  readonly child: ChildProcess;
  /** Resolves with the exit code and the signal. */
  readonly exited: Promise<unknown[]>;
  stdout = '';
  stderr = '';

  constructor(script: string, env: NodeJS.ProcessEnv, cwd = ROOT, args = ['--import', 'tsx']) {
    const options = { cwd, env: { ...process.env, ...env } };
    this.child = spawn(process.execPath, [...args, script], options);
    this.exited = once(this.child, 'close');
    this.child.stdout?.on('data', (text: Buffer) => {
      this.stdout += text.toString();
    });
    this.child.stderr?.on('data', (text: Buffer) => {
      this.stderr += text.toString();
    });
  }

  /** Resolves with the latest match (or its first group) when stdout has matched `pattern` this many times. */
  async printed(pattern: RegExp, times = 1): Promise<string> {
    for (;;) {
      const matches = [...this.stdout.matchAll(pattern)];
      const last = matches.at(-1);
      if (last !== undefined && matches.length >= times) return last[1] ?? last[0];
      if (this.child.exitCode !== null) throw new Error(`The demo exited: ${this.stderr}`);
      await Promise.race([
        once(this.child.stdout as NonNullable<ChildProcess['stdout']>, 'data'),
        this.exited,
      ]);
    }
  }
}

const running: DemoProcess[] = [];

/** Runs a script; {@link endDemos} ends it. */
export function runDemo(script: string, env: NodeJS.ProcessEnv): DemoProcess {
  return ended(new DemoProcess(script, env));
}

/** Runs a script of a user's project, without a loader where Node needs none. */
export function runInProject({ folder }: UserProject, script: string, env: NodeJS.ProcessEnv): DemoProcess {
  return ended(new DemoProcess(script, env, folder, TYPESCRIPT_ARGS));
}

function ended(demo: DemoProcess): DemoProcess {
  running.push(demo);
  return demo;
}

/** For `afterEach`. */
export async function endDemos(signal: NodeJS.Signals): Promise<void> {
  for (const { child, exited } of running.splice(0)) {
    child.kill(signal);
    await exited;
  }
}

/** An event of the prices or of the job, as the page received it. */
interface Recorded {
  readonly id: string;
  readonly n?: number;
  readonly step?: number;
}

/** A script for a page: records the events that its EventSources receive. */
export const RECORD = `
  globalThis.events = [];
  globalThis.EventSource = class extends EventSource {
    constructor(url) {
      super(url);
      const record = ({ data, lastEventId: id }) => events.push({ id, ...JSON.parse(data) });
      if (!url.startsWith('/clock')) this.addEventListener('message', record);
      this.addEventListener('progress', record);
    }
  };
`;

export async function pricesOf(page: Page) {
  const events = await page.evaluate<Recorded[]>('events');
  return events.flatMap(({ id, n }) => (n === undefined ? [] : { id, n }));
}

export async function stepsOf(page: Page) {
  const events = await page.evaluate<Recorded[]>('events');
  return events.flatMap(({ id, step }) => (step === undefined ? [] : { id, step }));
}

/** The counters that the page shows. */
export async function tallyOf(page: Page): Promise<Record<string, number>> {
  const counts = await page
    .locator('[data-count]')
    .evaluateAll((outputs) =>
      outputs.map((output) => [output.getAttribute('data-count'), Number(output.textContent)]),
    );
  return Object.fromEntries(counts);
}

export function countTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}
