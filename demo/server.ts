import type { AddressInfo } from 'node:net';
import { sse } from 'express-yield';
import { app } from './app';

const port = portOf(process.env.PORT);

const server = app.listen(port, (error?: NodeJS.ErrnoException) => {
  if (error !== undefined) return fail(reasonOf(error));
  const { port } = server.address() as AddressInfo;
  console.log(`The demo is at http://localhost:${port}/ (Ctrl+C ends it).`);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, close);

/** The process then exits by itself, as nothing is left to do. */
async function close(): Promise<void> {
  server.close();
  await sse.close();
  // Browsers open connections ahead of need, and Node would wait a minute for a request on them.
  server.closeAllConnections();
}

function portOf(value = ''): number {
  if (value === '') return 3000;
  if (/^\d{1,5}$/.test(value) && Number(value) <= 65_535) return Number(value);
  return fail(`Expected PORT to be a whole number from 0 to 65535, got '${value}'. Try PORT=3000.`);
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  const another = `choose another one, for example PORT=${port < 65_535 ? port + 1 : 3000}.`;
  if (code === 'EADDRINUSE') return `Port ${port} is in use. Stop what listens there, or ${another}`;
  if (code === 'EACCES') return `Port ${port} needs more rights than you have: ${another}`;
  return `Cannot listen on port ${port}: ${message}`;
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
