import { join } from 'node:path';
import { Child } from '../tools/child';
import { CORES, onCore } from '../tools/cores';

/** As servers run in production; Express formats errors and caches views by this variable, other packages log by it. */
const env = { NODE_ENV: 'production' };

/**
 * Starts a server process on the servers' core.
 *
 * @param script its path in this folder
 * @returns the process and its first message
 */
export function startServer<Message>(
  script: string,
  args: readonly string[] = [],
  nodeArgs: readonly string[] = [],
) {
  const prefix = onCore(CORES.server);
  return Child.start<Message>(join(__dirname, script), { args, nodeArgs, env, prefix });
}

/**
 * Starts a client process on the clients' core.
 *
 * @param script its path in this folder
 */
export async function startClient(script: string): Promise<Child> {
  const { child } = await Child.start(join(__dirname, script), { env, prefix: onCore(CORES.client) });
  return child;
}
