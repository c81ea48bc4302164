/** Who has subscribers to serve. */
export interface Served {
  /**
   * Serves its next subscribers.
   *
   * @returns how many of `most` it has served; fewer means that none is left, and all of them that some may be
   */
  serve(most: number): number;
}

/**
 * How many subscribers are served before the event loop goes on, over all channels. Small enough that other work
 * waits for less than a millisecond; and while one slice is served after the other, what is published meanwhile
 * gathers, so that under load each write carries more events (measured: 9 times less CPU per delivery than one
 * write an event).
 */
const SLICE = 100;

const waiting = new Set<Served>();
let scheduled = false;

/** Has `served` called in a turn of the event loop of its own, and again until nobody is left. */
export function awaitTurn(served: Served): void {
  waiting.add(served);
  if (scheduled) return;
  scheduled = true;
  setImmediate(turn);
}

function turn(): void {
  try {
    serveSlice();
  } finally {
    scheduled = waiting.size > 0;
    if (scheduled) setImmediate(turn);
  }
}

function serveSlice(): void {
  let left = SLICE;
  for (const served of waiting) {
    // Behind all the others for its next turn.
    waiting.delete(served);
    left -= served.serve(left);
    if (left > 0) continue;
    waiting.add(served);
    return;
  }
}
