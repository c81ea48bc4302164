import type * as Package from '../lib/index';

/** The built package, as users run it: through tsx, `lib/` would be another compiler's output. */
export const { Channel, memoryLog, sse } = require('../dist/index.js') as typeof Package;
