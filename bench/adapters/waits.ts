import type { Writable } from 'node:stream';

/**
 * Waits for 'drain' or 'close', with one lasting pair of listeners: a pair for each wait costs more, and `compression()`
 * would retain all of them.
 */
export function waitsOf(writable: Writable): () => Promise<void> {
  let wake: (() => void) | undefined;
  const onWritable = () => wake?.();
  writable.on('drain', onWritable);
  writable.on('close', onWritable);
  return () =>
    new Promise((resolve) => {
      wake = resolve;
    });
}
