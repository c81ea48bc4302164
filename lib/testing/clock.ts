import timers from 'node:timers';

// Taken now, and not from the globals: a test may put fake timers in their place, whose clock is not that of these waits.
export const { setTimeout, clearTimeout, setImmediate } = timers;
