/** What a client says when everybody has all events of a shared run; the end of the streams is still to come. */
export const RECEIVED = 'received';
