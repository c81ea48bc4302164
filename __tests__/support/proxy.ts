import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../tools/free-port';
import { findProgram } from '../../tools/program';
import { describeWithProgram } from './program';

/** Key and certificate of a server that nobody trusts. */
export const CERTIFICATE = join(__dirname, 'localhost.pem');

/** Where a proxy listens and what it stands in front of. */
export interface Place {
  readonly port: number;
  readonly appPort: number;
  readonly folder: string;
}

export interface ProxyKind {
  readonly command: string;
  readonly isSecure: boolean;
  /** The program's configuration file. */
  config(place: Place): string;
  /** The program's arguments; in the foreground. */
  args(configFile: string, folder: string): string[];
}

/** A real proxy in front of an app, with its configuration in a folder of its own. */
export class ProxyProcess {
  static async start(kind: ProxyKind, appPort: number): Promise<ProxyProcess> {
    const folder = mkdtempSync(join(tmpdir(), `express-yield-${kind.command}-`));
    const place = { port: await freePort(), appPort, folder };
    const configFile = join(folder, `${kind.command}.conf`);
    writeFileSync(configFile, kind.config(place));
    const proxy = new ProxyProcess(kind, configFile, place);
    try {
      await proxy.#listening();
    } catch (error) {
      await proxy.stop();
      throw error;
    }
    return proxy;
  }

  readonly url: string;
  readonly #place: Place;
  readonly #process: ChildProcess;
  #said = '';

  private constructor({ command, isSecure, args }: ProxyKind, configFile: string, place: Place) {
    this.url = `${isSecure ? 'https' : 'http'}://127.0.0.1:${place.port}`;
    this.#place = place;
    this.#process = spawn(findProgram(command) ?? command, args(configFile, place.folder), {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text;
    });
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGTERM');
    if (!this.#isOver) await once(this.#process, 'exit');
    rmSync(this.#place.folder, { recursive: true });
  }

  get #isOver(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  async #listening(): Promise<void> {
    while (!(await accepts(this.#place.port))) {
      if (this.#isOver) throw new Error(`${this.#process.spawnfile} has not started:\n${this.#said}`);
      await sleep(5);
    }
  }
}

/** A `describe` whose tests need a program. Without it they are skipped, loudly; under `CI` they fail. */
export function describeWithCommand(command: string, name: string, tests: () => void): void {
  const missing = `These tests need a real ${command}, and there is none on PATH. Install it (apt install ${command}, brew install ${command}).`;
  describeWithProgram(findProgram(command), missing, name, tests);
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    // Not yet.
    return false;
  } finally {
    socket.destroy();
  }
}
