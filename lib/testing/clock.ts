import timers from 'node:timers';

// Not the globals, which a test may replace by fake timers: the waits of this folder need the real clock.
export const { setTimeout, clearTimeout, setImmediate } = timers;
