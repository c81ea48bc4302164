import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { freePort } from '../../tools/free-port';
import { findProgram } from '../../tools/program';
import { describeWithProgram } from './program';

const MISSING =
  'These tests need a real PostgreSQL, but there is no postgres on PATH or in /usr/lib/postgresql. ' +
  'Install it (apt install postgresql, brew install postgresql).';

/** The folder in which Debian installs the versions of PostgreSQL. */
const VERSIONS = '/usr/lib/postgresql';

const READY = 'database system is ready to accept connections';

/** PostgreSQL does not run as root, so use the user and group `nobody`. */
const UNPRIVILEGED = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/** A PostgreSQL server with its own data folder. It can be killed and restarted with the same data. */
export class PostgresServer {
  readonly #command: string;
  readonly #folder: string;
  #process: ChildProcess | undefined;
  port = 0;

  constructor(command: string) {
    this.#command = command;
    this.#folder = mkdtempSync(join(tmpdir(), 'express-yield-postgres-'));
    if (UNPRIVILEGED.uid !== undefined) chownSync(this.#folder, UNPRIVILEGED.uid, UNPRIVILEGED.gid);
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`;
  }

  async create(): Promise<void> {
    const initdb = join(this.#command, '../initdb');
    const args = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C', '--no-sync'];
    execFileSync(initdb, [...args, this.#folder], { ...UNPRIVILEGED, cwd: this.#folder, stdio: 'pipe' });
    this.port = await freePort();
    await this.start();
  }

  /** Starts it on the same port as before. */
  async start(): Promise<void> {
    const args = ['-D', this.#folder, '-p', `${this.port}`, '-h', '127.0.0.1', '-k', this.#folder];
    const server = spawn(this.#command, args, {
      ...UNPRIVILEGED,
      cwd: this.#folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = server;
    const lines = createInterface({ input: server.stderr });
    await new Promise<void>((resolve, reject) => {
      const output: string[] = [];
      lines.on('line', (line) => {
        output.push(line);
        if (line.includes(READY)) resolve();
      });
      lines.on('close', () => reject(new Error(`PostgreSQL did not start:\n${output.join('\n')}`)));
    });
  }

  /** Runs a query on its own connection. */
  async query(text: string, values: unknown[] = []): Promise<pg.QueryResultRow[]> {
    const client = new pg.Client({ connectionString: this.url });
    await client.connect();
    try {
      return (await client.query(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  /** Stops immediately, without waiting for clients and without writing data. */
  async crash(): Promise<void> {
    const server = this.#process;
    this.#process = undefined;
    if (server === undefined || server.exitCode !== null) return;
    server.kill('SIGQUIT');
    await once(server, 'exit');
  }

  async remove(): Promise<void> {
    await this.crash();
    rmSync(this.#folder, { recursive: true });
  }
}

/** A `describe` with a real PostgreSQL. Without one, the tests are skipped with a warning; under `CI` they fail. */
export function describeWithPostgres(name: string, tests: (server: PostgresServer) => void): void {
  const command = findPostgres();
  describeWithProgram(command, MISSING, name, () => {
    const server = new PostgresServer(command ?? '');
    beforeAll(() => server.create(), 30_000);
    afterAll(() => server.remove());
    tests(server);
  });
}

function findPostgres(): string | undefined {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : [];
  const commands = versions.map((version) => join(VERSIONS, version, 'bin/postgres')).filter(existsSync);
  return findProgram('postgres') ?? commands.at(-1);
}
