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

/** A self-signed key and certificate. */
export const CERTIFICATE = join(__dirname, 'localhost.pem');

/** The port of a proxy, the port of its app, and the folder of its files. */
export interface Binding {
  readonly port: number;
  readonly appPort: number;
  readonly folder: string;
}

export interface ProxyKind {
  readonly command: string;
  readonly isSecure: boolean;
  /** The program's configuration file. */
  config(binding: Binding): string;
  /** The arguments with which the program runs in the foreground. */
  args(configFile: string, folder: string): string[];
}

/** A real proxy for an app, with its configuration in its own folder. */
export class ProxyProcess {
  static async start(kind: ProxyKind, appPort: number): Promise<ProxyProcess> {
    const folder = mkdtempSync(join(tmpdir(), `express-yield-${kind.command}-`));
    const binding = { port: await freePort(), appPort, folder };
    const configFile = join(folder, `${kind.command}.conf`);
    writeFileSync(configFile, kind.config(binding));
    const proxy = new ProxyProcess(kind, configFile, binding);
    try {
      await proxy.#listening();
    } catch (error) {
      await proxy.stop();
      throw error;
    }
    return proxy;
  }

  readonly url: string;
  readonly #binding: Binding;
  readonly #process: ChildProcess;
  #stderr = '';

  private constructor({ command, isSecure, args }: ProxyKind, configFile: string, binding: Binding) {
    this.url = `${isSecure ? 'https' : 'http'}://127.0.0.1:${binding.port}`;
    this.#binding = binding;
    this.#process = spawn(findProgram(command) ?? command, args(configFile, binding.folder), {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGTERM');
    if (!this.#hasExited) await once(this.#process, 'exit');
    rmSync(this.#binding.folder, { recursive: true });
  }

  get #hasExited(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  async #listening(): Promise<void> {
    while (!(await accepts(this.#binding.port))) {
      if (this.#hasExited) throw new Error(`${this.#process.spawnfile} did not start:\n${this.#stderr}`);
      await sleep(5);
    }
  }
}

/** A `describe` whose tests need a program. Without it, they are skipped with a warning; under `CI` they fail. */
export function describeWithCommand(command: string, name: string, tests: () => void): void {
  const missing = `These tests need a real ${command}, but there is none on PATH. Install it (apt install ${command}, brew install ${command}).`;
  describeWithProgram(findProgram(command), missing, name, tests);
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    // It does not listen yet.
    return false;
  } finally {
    socket.destroy();
  }
}
