export { eventLogContract, type LogCase, type MakeLog } from './testing.js';
