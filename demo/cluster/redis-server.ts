import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from './free-port';

export interface RedisServer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Starts the `redis-server` on PATH, on a free port, with nothing kept on disk.
 *
 * @throws (rejects with) the error of `spawn`, `ENOENT` if there is none; an `Error` if it does not get ready
 */
export async function startRedis(): Promise<RedisServer> {
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), 'express-yield-demo-'));
  const options = { port, bind: '127.0.0.1', dir: directory, save: '', appendonly: 'no' };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  // In a process group of its own, so that Ctrl+C ends those who use it first.
  const child = spawn('redis-server', args, { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  const gone = once(child, 'close');
  const close = async () => {
    child.kill();
    await gone.catch(() => undefined);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await Promise.race([ready(child.stdout), gone]);
    if (child.exitCode !== null) throw new Error(`redis-server has exited with ${child.exitCode}`);
    return { url: `redis://127.0.0.1:${port}`, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function ready(stdout: NodeJS.ReadableStream): Promise<void> {
  for await (const line of createInterface(stdout)) {
    if (line.includes('Ready to accept connections')) break;
  }
  stdout.resume();
}
