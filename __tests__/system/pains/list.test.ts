import { type Proof, WrittenTests } from '../../support/written-tests';

const TYPE = 'format/event › event() › refuses a type with %s';
const ID = 'format/event › 9.2.6 last event ID › refuses %s';
const FALSY_ID = 'format/event › 9.2.6 last event ID › accepts %p';
const RETRY = 'format/event › 9.2.6 reconnection time › refuses %p';
const COMMENT = 'format/event-stream › encode() › a comment › of %s';
const TEXT = 'format/event-stream › encode() › a string is sent unchanged as data › %s';
const JSON_DATA = 'format/event-stream › encode() › every other value is sent as JSON › %p';
const SERIALIZED = 'format/event-stream › encode() › with a serialize function › sends %s that it returns';
const FIELDS = 'format/event-stream › encode() › only a ServerSentEvent has fields › %s';
const HEAD = 'connection/head › writeHead() › sets the headers of an event stream, and no others';
const BACKPRESSURE = 'connection/connection › backpressure › pulls no more values than the socket accepts';
const COMPRESSED =
  'connection/connection › compression() › compresses with compress: true (%s), and each event and keep-alive arrives immediately';
const COMPRESSED_BACKPRESSURE =
  'connection/connection › compression() › applies backpressure with compress: true, and runs finally when the client disconnects';
const ONE_DRAIN =
  'system/pains/defects › C71: the stream adds one drain listener to the socket, however often it waits';
const BROKEN_WRITE =
  'connection/connection › a write that throws › passes its error to next, and runs finally';
const ONE_CHUNK =
  'connection/connection › coalescing › puts the frames that become ready in one turn into one chunk';
const NO_PING_TO_STALLED =
  'connection/connection › backpressure › sends no keep-alive to a client that does not read';
const ONE_TIMER =
  'connection/keep-alive › KeepAlive › needs one timer for all connections with the same idle time';
const LEAVES = 'stream/stream › the client disconnects › aborts the signal and runs finally immediately (%s)';
const LEAVES_STALLED =
  'stream/stream › the client disconnects › runs finally when the client disconnects while it does not read';
const POST =
  'stream/stream › the client disconnects › does not end a POST stream early when its body has been read';
const DEAD =
  'stream/stream › before the head › calls return() on the source of a response that has closed, and does not start it';
const RETURN_FAILS =
  'system/pains/defects › C31: %s rejects after its client has disconnected is reported, without unhandledRejection';
const THROWS =
  'stream/stream › the generator throws › delivers earlier values, ends without ~end or error text, and then calls next';
const THROWS_FIRST =
  'stream/stream › the generator throws › passes an error before the head to next, and sets no headers';
const ON_ERROR_THROWS =
  'stream/stream › the generator throws › still ends the stream when onError %s, and warns';
const STALL_TIMEOUT =
  'stream/stream › stallTimeoutMs › destroys the connection of a client that does not read';
const NEVER_GIVES =
  'sse › sse(handler) accepts › a stream without data, and destroys it when the client disconnects';
const HTTP2 = 'sse › sse(handler) runs on › node:http2';
const RESUME = 'channel/channel › $shape with $api › resumes after the last event ID';
const NEW_ID = 'channel/channel › publish() › assigns ascending ids, with one epoch per channel';
const SERIALIZED_ONCE =
  'channel/channel › publish() › serializes each value once, regardless of the route options';
const UNKNOWN_ID = 'channel/channel › a gap › is sent first for the id %.20s, which is not in the log';
const OTHER_LOG = 'channel/channel › a gap › is sent for an id from before a restart';
const RETAINS = 'log/memory-log › memoryLog() › retains 1,000 events by default';
const STALLED_CHANNEL =
  'channel/hub › 100 of 1,000 clients that never read › cost only their socket buffers, delay no other client, and are disconnected when the log is trimmed past them';
const STALLED_READER =
  'channel/hub › a publisher that awaits › is not blocked by a client that reads nothing';
const OWN_TURN =
  'channel/deliveries › scheduleDelivery() › delivers in a later turn, once however often it was called';

/**
 * Every defect of PAINS.md, part C, by its number. Each was once inserted into a copy of lib, and each of its tests
 * failed. A defect without a counterpart here (a registry by the client's uid, a patched server) has the most similar test.
 */
const PART_C: Readonly<Record<number, Proof>> = {
  1: [
    'system/pains/defects › C1: a source that continues after its client has disconnected causes no uncaughtException',
    'source › closing a Node Readable › handles the error of a file that does not exist, before the first read',
  ],
  2: [TYPE, ID, COMMENT],
  3: SERIALIZED,
  4: [POST, LEAVES],
  5: [DEAD, 'sse › res.sse › has an aborted signal if the client disconnected while the handler was busy'],
  6: 'stream/stream › before the head › appends the headers option to Set-Cookie and Vary',
  7: ['sse › streams for any URL: %s', 'system/pains/defects › C7: streams with any Host: %p'],
  8: [BROKEN_WRITE, RETURN_FAILS],
  9: [BACKPRESSURE, STALL_TIMEOUT],
  10: [NEW_ID, RESUME],
  11: 'format/event-stream › encode() › refuses › %s, and names the remedy',
  12: 'system/pains/defects › C12: a source that stops early does not finish the stream',
  13: [ONE_TIMER, 'connection/keep-alive › KeepAlive › does not keep the process alive', SERIALIZED_ONCE],
  14: LEAVES_STALLED,
  15: [TYPE, ID, TEXT],
  16: [
    JSON_DATA,
    'format/event-stream › encode() › every other value is sent as JSON › an object with the keys of an event',
  ],
  17: [
    'stream/stream › before the head › sends the head and a comment if there is no value within commitAfterMs',
    'stream/stream › before the head › sends the head before the first value with commitAfterMs: 0',
  ],
  18: [FALSY_ID, FIELDS],
  19: [NO_PING_TO_STALLED, 'stream/stream › keepAliveMs › sends no comments while events are sent'],
  20: [DEAD, HEAD, "stream/stream › before the head › keeps a client's Connection: close"],
  21: LEAVES,
  22: THROWS,
  23: [TYPE, ID, COMMENT, TEXT, JSON_DATA],
  24: HTTP2,
  25: THROWS,
  26: [
    ON_ERROR_THROWS,
    'sse › sse(handler) without a next › still responds when the promise of onError rejects, and warns',
  ],
  27: [ID, RETRY],
  28: [LEAVES, 'stream/context › signal › aborts when the client disconnects'],
  29: JSON_DATA,
  30: ID,
  31: RETURN_FAILS,
  32: [
    'system/pains/defects › C32: no value is lost that becomes ready %s, while earlier bytes are being sent',
    'connection/connection › bytes on the wire › stay whole and in order while a socket fills and drains (%s)',
  ],
  33: 'system/pains/defects › C33: a value that is iterable in both ways is read as an async iterable',
  34: COMPRESSED,
  35: [TYPE, ID],
  36: 'system/pains/defects › C36: the events that one client has missed are sent only to that client',
  37: 'connection/connection › compression() › is not required for compress: true',
  38: [POST, ONE_CHUNK, ONE_DRAIN],
  39: POST,
  40: [
    'system/pains/defects › C40: ids are ordered as numbers: %i is followed by the next',
    'redis/redis-log › a log › orders ids, and returns NaN for a string that is not an id',
  ],
  41: [UNKNOWN_ID, OTHER_LOG],
  42: [NO_PING_TO_STALLED, BACKPRESSURE],
  43: [TYPE, ID, COMMENT, SERIALIZED],
  44: 'sse › sse() › throws immediately for a misspelt option of sse(), sse(handler) and createSse()',
  45: [
    "package/layers › the layers of lib › import only Node's own modules and files of lib",
    'package/package › the packed tarball › has no runtime dependencies, and names Express as an optional peer',
  ],
  46: [
    'system/pains/defects › C46: a client that has reconnected stays subscribed when its old connection closes',
    'connection/keep-alive › KeepAlive › still needs one timer after a connection was deleted twice',
  ],
  47: [JSON_DATA, 'stream/stream › the generator returns › sends the return value %p unchanged'],
  48: 'system/pains/defects › C48: the log receives %s, so that other processes receive it',
  49: [STALLED_CHANNEL, STALL_TIMEOUT],
  50: [
    'stream/stream › sse.close() › lets server.close() finish with open keep-alive streams',
    'stream/registry › Registry › close() › notifies every stream within spreadMs',
  ],
  51: HEAD,
  52: COMPRESSED,
  53: BACKPRESSURE,
  54: ['connection/head › RFC 9110 12.5.1 Accept › %p accepts an event stream: %p', HEAD],
  55: 'channel/source-run › ttlMs › cancels a run that has never had a subscriber',
  56: [RETURN_FAILS, 'source › closeSource() › calls return() of a custom iterator'],
  57: ID,
  58: ONE_CHUNK,
  59: [OTHER_LOG, NEW_ID, RETAINS],
  60: [BACKPRESSURE, ID],
  61: [THROWS, OTHER_LOG, BACKPRESSURE, NEVER_GIVES],
  62: ['system/pains/defects › C62: a value that several clients receive is not changed', FALSY_ID],
  63: 'system/pains/defects › C63: an import patches nothing and starts nothing',
  64: LEAVES_STALLED,
  65: [THROWS_FIRST, TEXT],
  66: [RESUME, RETAINS, TEXT, STALLED_READER],
  67: OWN_TURN,
  68: BROKEN_WRITE,
  69: [
    'system/pains/defects › C69: a filter keeps the signal of its subscriber',
    'stream/stream › values › sends comments and events as they are yielded, in order',
  ],
  70: [
    'format/event-stream › encodeEnd() › sends %s',
    'system/pains/defects › C70: npm eventsource is stopped by the end of a generator that returns nothing',
    'format/parse › 9.2.6 last event ID › is the id of the last event that had one',
    'format/parse › 9.2.6 last event ID › changes at the blank line, also without data',
  ],
  71: [COMPRESSED, ONE_DRAIN, COMPRESSED_BACKPRESSURE],
};

/** The defects that the closing paragraph of part C adds to the numbered ones. */
const CROSS_CUTTING: Readonly<Record<string, Proof>> = {
  'close of the request': [POST, LEAVES],
  'a response that has already closed': DEAD,
  'waiting for drain without close': [LEAVES_STALLED, COMPRESSED_BACKPRESSURE],
  'ids that cannot be resumed': [NEW_ID, RESUME],
  'error as an unrequested event name': THROWS,
  'error text to clients': [
    THROWS,
    'sse › sse(handler) without a next › responds with an error status and no text when the handler %s, and warns',
  ],
  'a timer for each connection': ONE_TIMER,
  'NUL in an id': ID,
};

describe('the list of part C', () => {
  const written = WrittenTests.read();
  const proofs = [...Object.entries(PART_C), ...Object.entries(CROSS_CUTTING)];

  it('has an entry for each of the 71 defects', () => {
    expect(Object.keys(PART_C).map(Number)).toEqual(Array.from({ length: 71 }, (_, index) => index + 1));
  });

  it.each(proofs)('names tests that exist: %s', (_name, proof) => {
    expect(written.missing(proof)).toEqual([]);
  });

  it('contains every test that is named after a defect', () => {
    const named = Object.entries(PART_C).flatMap(([number, proof]) =>
      [proof].flat().filter((title) => title.startsWith(`system/pains/defects › C${number}: `)),
    );

    expect(new Set(named)).toEqual(
      new Set([...written.titles].filter((title) => title.startsWith('system/pains/defects › C'))),
    );
  });
});
