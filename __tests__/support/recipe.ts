import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { sse } from '../../lib';

const DOCS = join(__dirname, '../../docs');

/** The exports of a recipe that is a server. */
export interface Recipe {
  readonly server: Server;
}

/** A running recipe, on a free port. */
export type Started<Module extends Recipe> = Module & { readonly url: string };

/** Runs a recipe in this process, so that a test can inspect its state. Once per file: a module is loaded once. */
export async function startRecipe<Module extends Recipe>(
  name: string,
  env: NodeJS.ProcessEnv = {},
): Promise<Started<Module>> {
  Object.assign(process.env, env, { PORT: '0' });
  const recipe = require(join(DOCS, name)) as Module;
  if (!recipe.server.listening) await once(recipe.server, 'listening');
  const { port } = recipe.server.address() as AddressInfo;
  return { ...recipe, url: `http://127.0.0.1:${port}` };
}

/** Resolves when every stream of the recipe has ended. */
export async function noStreams(): Promise<void> {
  while (sse.size > 0) await setImmediate();
}

/** For `afterAll`. */
export async function stopRecipe({ server }: Recipe): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}

export function postJson(url: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  const headers = { 'Content-Type': 'application/json' };
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body), ...init });
}
