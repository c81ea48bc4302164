import type * as Package from '../lib/index';

/** The built package, as users run it. */
export const { Channel, createSse, event, memoryLog } = require('../dist/index.js') as typeof Package;
