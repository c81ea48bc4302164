/** The client's message when all subscribers have received all events of a shared run, before the streams end. */
export const RECEIVED = 'received';
