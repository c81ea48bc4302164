import { allow, isAllowed } from './dom.mjs';

/** How long a request may wait for one of the browser's connections. */
const WAIT_MS = 500;

/** Asks the server to cut a connection. */
export function drop(button, connection) {
  return send(button, 'POST', `/drop/${connection}`);
}

/** Sends the request of a button. If the browser has no free connection for it, the event `connection-needed` asks for one. */
export async function send(button, method, url) {
  if (!isAllowed(button)) return;
  allow(button, false);
  const waiting = setTimeout(() => document.dispatchEvent(new Event('connection-needed')), WAIT_MS);
  await fetch(url, { method }).finally(() => clearTimeout(waiting));
}
