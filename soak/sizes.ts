/** The number of channels of each kind: permanent ones that tick, temporary topics, and runs. */
export const TICK_FEEDS = 3;
export const TOPICS = 24;
export const RUNS = 40;
