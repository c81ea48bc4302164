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
  'These tests need a real PostgreSQL, and there is no postgres, neither on PATH nor in /usr/lib/postgresql. ' +
  'Install it (apt install postgresql, brew install postgresql).';

/** Where Debian keeps its versions. */
const VERSIONS = '/usr/lib/postgresql';

const READY = 'database system is ready to accept connections';

/** PostgreSQL refuses to be root; `nobody` is somebody else everywhere. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/** A PostgreSQL with a cluster in a folder of its own; it can be killed and comes back with what it had. */
export class PostgresServer {
  readonly #command: string;
  readonly #folder: string;
  #process: ChildProcess | undefined;
  port = 0;

  constructor(command: string) {
    this.#command = command;
    this.#folder = mkdtempSync(join(tmpdir(), 'express-yield-postgres-'));
    if (NOBODY.uid !== undefined) chownSync(this.#folder, NOBODY.uid, NOBODY.gid);
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`;
  }

  async create(): Promise<void> {
    const initdb = join(this.#command, '../initdb');
    const args = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C', '--no-sync'];
    execFileSync(initdb, [...args, this.#folder], { ...NOBODY, cwd: this.#folder, stdio: 'pipe' });
    this.port = await freePort();
    await this.start();
  }

  /** On the port that it had. */
  async start(): Promise<void> {
    const args = ['-D', this.#folder, '-p', `${this.port}`, '-h', '127.0.0.1', '-k', this.#folder];
    const server = spawn(this.#command, args, {
      ...NOBODY,
      cwd: this.#folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = server;
    const lines = createInterface({ input: server.stderr });
    await new Promise<void>((resolve, reject) => {
      const said: string[] = [];
      lines.on('line', (line) => {
        said.push(line);
        if (line.includes(READY)) resolve();
      });
      lines.on('close', () => reject(new Error(`PostgreSQL has not started:\n${said.join('\n')}`)));
    });
  }

  /** As an administrator would type it. */
  async query(text: string, values: unknown[] = []): Promise<pg.QueryResultRow[]> {
    const client = new pg.Client({ connectionString: this.url });
    await client.connect();
    try {
      return (await client.query(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  /** Without waiting for anybody, and without writing anything more. */
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

/** A `describe` whose tests have a real PostgreSQL. Without one they are skipped, loudly; under `CI` they fail. */
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
