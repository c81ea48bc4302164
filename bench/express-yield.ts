import type * as Package from '../lib/index';

/** The built package, as users run it: `lib/` through tsx would be another compiler's program. */
export const { Channel, memoryLog, sse } = require('../dist/index.js') as typeof Package;
