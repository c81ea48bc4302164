export { eventLogContract, type LogCase, type MakeLog } from './channel/log-contract';
