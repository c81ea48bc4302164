import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createClient } from 'redis';
import { freePort } from '../tools/free-port';
import { RedisServer } from '../tools/redis-server';
import { fail, portOf } from './listen';

const NO_REDIS =
  'demo:cluster needs Redis, and there is neither a redis-server on PATH nor REDIS_URL. ' +
  'Install one (apt install redis-server, brew install redis), or set REDIS_URL to one, for example REDIS_URL=redis://localhost:6379.';

interface Redis {
  readonly url: string;
  close(): Promise<void>;
}

/** The running workers, by port. */
const workers = new Map<number, ChildProcess>();
let closing: Promise<void> | undefined;

async function main(): Promise<void> {
  const ports = await portsOf(portOf(process.env.PORT, 65_534));
  const opening = openRedis(process.env.REDIS_URL);
  const close = () => {
    closing ??= endWorkers().then(async () => (await opening).close());
    return closing;
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, close);

  const { url } = await opening;
  const env = { ...process.env, PORTS: ports.join(), REDIS_URL: url };
  if (closing !== undefined) return;
  console.log(`Two processes, one Redis at ${url} (Ctrl+C ends them).`);
  for (const port of ports) keepRunning(port, env, close);
}

/** Starts a worker, and another on the same port when it exits. A worker that cannot start (code 1) ends the cluster. */
function keepRunning(port: number, env: NodeJS.ProcessEnv, close: () => Promise<void>): void {
  const worker = fork(join(__dirname, 'cluster/worker.ts'), { env: { ...env, PORT: String(port) } });
  workers.set(port, worker);
  worker.once('exit', (code) => {
    workers.delete(port);
    if (closing !== undefined) return;
    if (code !== 1) return keepRunning(port, env, close);
    process.exitCode = 1;
    void close();
  });
}

async function endWorkers(): Promise<void> {
  const running = [...workers.values()];
  const exits = running.map((worker) => once(worker, 'exit'));
  for (const worker of running) worker.kill();
  await Promise.all(exits);
}

async function portsOf(port: number): Promise<number[]> {
  return port === 0 ? [await freePort(), await freePort()] : [port, port + 1];
}

async function openRedis(url = ''): Promise<Redis> {
  if (url !== '') return connectTo(url);
  // In its own process group, so that Ctrl+C ends the workers first.
  const server = new RedisServer({ detached: true });
  const close = () => server.remove('SIGTERM');
  try {
    await server.start();
    return { url: server.url, close };
  } catch (error) {
    await close();
    const { code, message } = error as NodeJS.ErrnoException;
    return fail(code === 'ENOENT' ? NO_REDIS : `Cannot start redis-server: ${message}`);
  }
}

/** A Redis that this script has not started, so it does not stop it. */
async function connectTo(url: string): Promise<Redis> {
  try {
    const client = createClient({ url, socket: { reconnectStrategy: false } });
    client.on('error', () => undefined);
    await client.connect();
    client.destroy();
    return { url, close: async () => undefined };
  } catch (error) {
    return fail(`Cannot reach the Redis of REDIS_URL, ${url}: ${(error as Error).message}`);
  }
}

void main();
