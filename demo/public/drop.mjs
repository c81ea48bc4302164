import { allow, isAllowed } from './dom.mjs';

/** How long a request may wait for one of the browser's connections. */
const WAIT_MS = 500;

/** Asks the server to cut a connection. If the browser has no free connection for that, the event `connection-needed` asks for one. */
export async function drop(button, connection) {
  if (!isAllowed(button)) return;
  allow(button, false);
  const waiting = setTimeout(() => document.dispatchEvent(new Event('connection-needed')), WAIT_MS);
  await fetch(`/drop/${connection}`, { method: 'POST' }).finally(() => clearTimeout(waiting));
}
