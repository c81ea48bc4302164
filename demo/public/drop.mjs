import { allow, isAllowed } from './dom.mjs';

/** So long a request may wait for one of the browser's connections. */
const PATIENCE_MS = 500;

/** Has the server cut a connection. If no other is free to ask it, the event `crowded` asks for one. */
export async function drop(button, connection) {
  if (!isAllowed(button)) return;
  allow(button, false);
  const waiting = setTimeout(() => document.dispatchEvent(new Event('crowded')), PATIENCE_MS);
  await fetch(`/drop/${connection}`, { method: 'POST' }).finally(() => clearTimeout(waiting));
}
