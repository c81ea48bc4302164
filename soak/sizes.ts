/** How many channels there are of each kind: those that tick, rooms that come and go, and runs. */
export const TICK_FEEDS = 3;
export const ROOMS = 24;
export const RUNS = 40;
