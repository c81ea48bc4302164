import type { Writable } from 'node:stream';

/** What keeps an idle stream open where a package has nothing for it: an interval for each stream, as most write it. */
export function keepAlive(stream: Writable, everyMs: number | false, comment = ': keep-alive\n\n'): void {
  if (everyMs === false) return;
  const timer = setInterval(() => stream.write(comment), everyMs);
  stream.on('close', () => clearInterval(timer));
}
