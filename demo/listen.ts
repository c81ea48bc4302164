import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Express } from 'express';
import { sse } from 'express-yield';

export interface Listening {
  readonly url: string;
  /** Ends all streams and closes the server; nothing then keeps the process running. */
  close(): Promise<void>;
}

export async function listen(app: Express, port: number): Promise<Listening> {
  const server = app.listen(port);
  await once(server, 'listening').catch((error) => fail(reasonOf(error, port)));
  const { port: actual } = server.address() as AddressInfo;
  const close = async () => {
    server.close();
    await sse.close();
    // Browsers open spare connections, and Node would wait a minute for a request on each.
    server.closeAllConnections();
  };
  return { url: `http://localhost:${actual}/`, close };
}

/** Reads PORT: a whole number, 3000 by default. */
export function portOf(value = '', most = 65_535): number {
  if (value === '') return 3000;
  if (/^\d{1,5}$/.test(value) && Number(value) <= most) return Number(value);
  return fail(`Expected PORT to be a whole number from 0 to ${most}, got '${value}'. Try PORT=3000.`);
}

function reasonOf({ code, message }: NodeJS.ErrnoException, port: number): string {
  const another = `choose another one, for example PORT=${port < 65_535 ? port + 1 : 3000}.`;
  if (code === 'EADDRINUSE') return `Port ${port} is in use. Stop what listens there, or ${another}`;
  if (code === 'EACCES') return `Port ${port} needs more rights than you have: ${another}`;
  return `Cannot listen on port ${port}: ${message}`;
}

export function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
