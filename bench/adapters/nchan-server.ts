import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { CORES, onCore } from '../../tools/cores';
import { freePort } from '../../tools/free-port';
import type { Route, Service } from '../adapter';
import type { Nginx } from './nchan-program';

/** The longest time for nginx to start, or to exit. */
const TIMEOUT_MS = 10_000;
const RETRY_MS = 20;

/**
 * Starts nginx, which ends with this process.
 *
 * @param application the port that gets a request for each subscriber
 */
export async function startNginx(
  nginx: Nginx,
  application: number,
  routes: readonly Route[],
): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), 'express-yield-nchan-'));
  const port = await freePort();
  writeFileSync(join(folder, 'nginx.conf'), configOf(nginx, port, application, routes));
  const master = spawnPinned(nginx.program, ['-p', folder, '-c', join(folder, 'nginx.conf')]);
  process.on('exit', () => end(master, folder));
  await answers(port, master);
  const pid = master.pid ?? 0;
  return { port, processes: [pid, ...childrenOf(pid)] };
}

/** Runs while this process exits, so it must wait synchronously. */
function end(master: ChildProcess, folder: string): void {
  master.kill('SIGTERM');
  const deadline = performance.now() + TIMEOUT_MS;
  // The last thing that nginx does is to remove its own file.
  while (existsSync(join(folder, 'nginx.pid')) && performance.now() < deadline) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
  }
  rmSync(folder, { recursive: true, force: true });
}

function configOf({ nchan }: Nginx, port: number, application: number, routes: readonly Route[]): string {
  return `
load_module ${nchan};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr error;
events {
  worker_connections 16000;
}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  nchan_max_reserved_memory 256m;
  upstream application {
    server 127.0.0.1:${application};
    keepalive 32;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    keepalive_requests 10000000;
    location = /publish {
      nchan_publisher;
      nchan_channel_id $arg_channel;
      nchan_message_buffer_length 1000;
      client_body_buffer_size 16k;
    }
    location = /subscribed {
      internal;
      proxy_pass http://application$request_uri;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
${routes.map(locationOf).join('\n')}
  }
}
`;
}

function locationOf({ path, keepAliveMs }: Route): string {
  const ping = keepAliveMs === false ? 0 : Math.ceil(keepAliveMs / 1_000);
  return `    location = ${path} {
      nchan_subscriber eventsource;
      nchan_channel_id $uri$arg_symbol;
      nchan_subscriber_first_message newest;
      nchan_eventsource_ping_interval ${ping};
      nchan_subscribe_request /subscribed;
    }`;
}

function spawnPinned(program: string, args: readonly string[]): ChildProcess {
  const [command = '', ...rest] = [...onCore(CORES.server), program, ...args];
  return spawn(command, rest, { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** nginx does not report when it listens. */
async function answers(port: number, master: ChildProcess): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (!(await accepts(port))) {
    if (master.exitCode !== null) throw new Error(`nginx ended with code ${master.exitCode}.`);
    if (performance.now() > deadline) throw new Error('Expected nginx to listen, got silence.');
    await setTimeout(RETRY_MS);
  }
}

function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1');
  return children.trim().split(' ').map(Number);
}
