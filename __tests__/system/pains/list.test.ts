import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';

/** Tests that fail with a defect: `file › describe › title`, as they are written in the sources. */
type Proof = string | readonly string[];

const TESTS = resolve(__dirname, '../..');

const TYPE = 'format/event › event() › refuses a type with %s';
const ID = 'format/event › 9.2.6 last event ID › refuses %s';
const FALSY_ID = 'format/event › 9.2.6 last event ID › accepts %p';
const RETRY = 'format/event › 9.2.6 reconnection time › refuses %p';
const COMMENT = 'format/event-stream › encode() › a comment › of %s';
const TEXT = 'format/event-stream › encode() › a string is sent unchanged as data › %s';
const JSON_DATA = 'format/event-stream › encode() › every other value is sent as JSON › %p';
const SERIALIZED = 'format/event-stream › encode() › with a serialize function › sends %s that it returns';
const FIELDS = 'format/event-stream › encode() › only a ServerSentEvent has fields › %s';
const HEAD = 'connection/head › writeHead() › sets the head of an event stream, and nothing else';
const BACKPRESSURE = 'connection/connection › backpressure › pulls no more than the socket takes';
const COMPRESSED =
  'connection/connection › compression() › compresses with compress: true (%s), and each event and keep-alive comes at once';
const COMPRESSED_BACKPRESSURE =
  'connection/connection › compression() › keeps backpressure with compress: true, and runs finally when the client leaves';
const ONE_DRAIN =
  'system/pains/defects › C71: the socket has one drain listener more, however often the stream waits for it';
const BROKEN_WRITE =
  'connection/connection › a response that breaks › tells next of a write that throws, and runs finally';
const ONE_CHUNK =
  'connection/connection › coalescing › puts the frames that become ready in one turn into one chunk';
const NO_PING_TO_STALLED =
  'connection/connection › backpressure › sends no keep-alive to a client that does not read';
const ONE_TIMER = 'connection/keep-alive › KeepAlive › needs one timer for all connections of one idle time';
const LEAVES = 'stream/stream › the client leaves › aborts the signal and runs finally at once (%s)';
const LEAVES_STALLED =
  'stream/stream › the client leaves › runs finally when the client leaves while it does not read';
const POST =
  'stream/stream › the client leaves › does not end a POST stream early when its body has been read';
const DEAD =
  'stream/stream › before the head › calls return() on the source of a response that has closed, and does not start it';
const RETURN_FAILS =
  'system/pains/defects › C31: %s is rejected when its client has left is told of, and no unhandledRejection';
const THROWS =
  'stream/stream › the generator throws › delivers what was yielded before, ends without ~end or error text, and then calls next';
const THROWS_FIRST =
  'stream/stream › the generator throws › passes what is thrown before the head to next, with all headers untouched';
const ON_ERROR_THROWS = 'stream/stream › the generator throws › survives an onError that %s';
const STALL_TIMEOUT = 'stream/stream › stallTimeoutMs › destroys a client that does not read';
const NEVER_GIVES =
  'sse › sse(handler) takes › a stream that never gives anything, and destroys it when the client leaves';
const HTTP2 = 'sse › sse(handler) runs on › node:http2';
const RESUME = 'channel/channel › $shape through $door › goes on behind the last event ID';
const NEW_ID = 'channel/channel › publish() › gives ids that ascend, one epoch a channel';
const SERIALIZED_ONCE = 'channel/channel › publish() › serializes each value once, whatever the routes say';
const UNKNOWN_ID = 'channel/channel › a gap › comes first for the id %.20s, which is not the log’s';
const OTHER_LOG = 'channel/channel › a gap › comes for an id of a log before a restart';
const RETAINS = 'log/memory-log › memoryLog() › retains 1,000 events';
const STALLED_CHANNEL =
  'channel/hub › 100 of 1,000 clients that never read › cost what their sockets hold, delay nobody, and are disconnected when the log has passed them';
const STALLED_READER = 'channel/hub › a publisher that awaits › is not held up by one who reads nothing';
const OWN_TURN =
  'round-robin › awaitTurn() › serves in a turn of its own, and once however often it was called';

/**
 * Every defect of PAINS.md, part C, by its number. Each was put into a copy of lib once, and each of its tests was seen to
 * fail. What has no counterpart here (a registry by the client's uid, a patched server) has a test of what comes nearest.
 */
const PART_C: Readonly<Record<number, Proof>> = {
  1: [
    'system/pains/defects › C1: a source that goes on giving when its client has left is no uncaughtException',
    'source › closing a Node Readable › handles the error of a file that does not exist, before the first read',
  ],
  2: [TYPE, ID, COMMENT],
  3: SERIALIZED,
  4: [POST, LEAVES],
  5: [DEAD, 'sse › res.sse › has an aborted signal for a client that left while the handler was busy'],
  6: 'stream/stream › before the head › adds to Set-Cookie and Vary what the headers option has',
  7: ['sse › streams whatever the URL: %s', 'system/pains/defects › C7: streams whatever the Host: %p'],
  8: [BROKEN_WRITE, RETURN_FAILS],
  9: [BACKPRESSURE, STALL_TIMEOUT],
  10: [NEW_ID, RESUME],
  11: 'format/event-stream › encode() › refuses › %s, and names the remedy',
  12: 'system/pains/defects › C12: a source that breaks off is no finished stream',
  13: [ONE_TIMER, 'connection/keep-alive › KeepAlive › does not keep the process alive', SERIALIZED_ONCE],
  14: LEAVES_STALLED,
  15: [TYPE, ID, TEXT],
  16: [
    JSON_DATA,
    'format/event-stream › encode() › every other value is sent as JSON › an object with the keys of an event',
  ],
  17: [
    'stream/stream › before the head › opens with a comment if no value has come after commitAfterMs',
    'stream/stream › before the head › opens before the first value with commitAfterMs: 0',
  ],
  18: [FALSY_ID, FIELDS],
  19: [NO_PING_TO_STALLED, 'stream/stream › keepAliveMs › sends none while events flow'],
  20: [DEAD, HEAD, "stream/stream › before the head › keeps a client's Connection: close"],
  21: LEAVES,
  22: THROWS,
  23: [TYPE, ID, COMMENT, TEXT, JSON_DATA],
  24: HTTP2,
  25: THROWS,
  26: [ON_ERROR_THROWS, 'sse › sse(handler) without a next › survives an onError whose promise is rejected'],
  27: [ID, RETRY],
  28: [LEAVES, 'stream/context › signal › aborts when the client leaves'],
  29: JSON_DATA,
  30: ID,
  31: RETURN_FAILS,
  32: [
    'system/pains/defects › C32: nothing is lost that becomes ready %s, while other bytes are on their way',
    'connection/connection › bytes on the wire › stay whole and in order while a socket fills and drains (%s)',
  ],
  33: 'system/pains/defects › C33: what is iterable in both ways is read as the async iterable that it is',
  34: COMPRESSED,
  35: [TYPE, ID],
  36: 'system/pains/defects › C36: what one client has missed is sent to that one only',
  37: 'connection/connection › compression() › needs no compression() for compress: true',
  38: [POST, ONE_CHUNK, ONE_DRAIN],
  39: POST,
  40: [
    'system/pains/defects › C40: ids are ordered as numbers: behind %i comes the next',
    'redis/redis-log › a log › orders ids, and knows what is none',
  ],
  41: [UNKNOWN_ID, OTHER_LOG],
  42: [NO_PING_TO_STALLED, BACKPRESSURE],
  43: [TYPE, ID, COMMENT, SERIALIZED],
  44: 'sse › sse() › refuses a misspelt option at once, in all three places',
  45: [
    "package/layers › the layers of lib › import only Node's own modules and files of lib",
    'package/package › the packed tarball › has no runtime dependencies, and names Express as an optional peer',
  ],
  46: [
    'system/pains/defects › C46: a client that has come back stays when its old connection closes',
    'connection/keep-alive › KeepAlive › still needs one timer after a connection was deleted twice',
  ],
  47: [JSON_DATA, 'stream/stream › the generator returns › sends %p as it is'],
  48: 'system/pains/defects › C48: the log gets %s, so that other processes hear it',
  49: [STALLED_CHANNEL, STALL_TIMEOUT],
  50: [
    'stream/stream › sse.close() › lets server.close() finish with open keep-alive streams',
    'stream/registry › Registry › close() › tells every stream within spreadMs',
  ],
  51: HEAD,
  52: COMPRESSED,
  53: BACKPRESSURE,
  54: ['connection/head › RFC 9110 12.5.1 Accept › %p is answered with a stream: %p', HEAD],
  55: 'channel/source-run › ttlMs › cancels a run that nobody has ever watched',
  56: [RETURN_FAILS, 'source › closeSource() › calls return() of a custom iterator'],
  57: ID,
  58: ONE_CHUNK,
  59: [OTHER_LOG, NEW_ID, RETAINS],
  60: [BACKPRESSURE, ID],
  61: [THROWS, OTHER_LOG, BACKPRESSURE, NEVER_GIVES],
  62: ['system/pains/defects › C62: a value that many clients get stays as it is', FALSY_ID],
  63: 'system/pains/defects › C63: to import it patches nothing and starts nothing',
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

/** What the closing paragraph of part C adds to the numbers. */
const CROSS_CUTTING: Readonly<Record<string, Proof>> = {
  'close of the request': [POST, LEAVES],
  'a response that is dead already': DEAD,
  'waiting for drain without close': [LEAVES_STALLED, COMPRESSED_BACKPRESSURE],
  'ids that cannot be resumed': [NEW_ID, RESUME],
  'error as an event name of its own accord': THROWS,
  'error text to clients': [
    THROWS,
    'sse › sse(handler) without a next › makes its status of a handler that %s, without its text, and warns',
  ],
  'a timer for each connection': ONE_TIMER,
  'NUL in an id': ID,
};

describe('the list of part C', () => {
  const written = new Set(testFiles().flatMap(titlesIn));
  const proofs = [...Object.entries(PART_C), ...Object.entries(CROSS_CUTTING)];

  it('has an entry for each of the 71 defects', () => {
    expect(Object.keys(PART_C).map(Number)).toEqual(Array.from({ length: 71 }, (_, index) => index + 1));
  });

  it.each(proofs)('names tests that exist: %s', (_name, proof) => {
    expect([proof].flat().filter((title) => !written.has(title))).toEqual([]);
  });

  it('has every test that is named for a defect', () => {
    const named = Object.entries(PART_C).flatMap(([number, proof]) =>
      [proof].flat().filter((title) => title.startsWith(`system/pains/defects › C${number}: `)),
    );

    expect(new Set(named)).toEqual(
      new Set([...written].filter((title) => title.startsWith('system/pains/defects › C'))),
    );
  });
});

function testFiles(): string[] {
  return readdirSync(TESTS, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.test.ts'),
  );
}

/** The full titles of the tests in a file, as they are written. */
function titlesIn(file: string): string[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(TESTS, file), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  );
  const titles: string[] = [];
  visit(source, file.replaceAll('\\', '/').replace(/\.test\.ts$/, ''), titles);
  return titles;
}

function visit(node: ts.Node, path: string, titles: string[]): void {
  const [title, body] = ts.isCallExpression(node) ? node.arguments : [];
  const isNamed = title !== undefined && ts.isStringLiteralLike(title) && body !== undefined;
  const name = isNamed && ts.isCallExpression(node) ? calledName(node.expression) : undefined;
  if (name !== 'describe' && name !== 'it') {
    return ts.forEachChild(node, (child) => visit(child, path, titles));
  }
  const inner = `${path} › ${isNamed ? title.text : ''}`;
  if (name === 'it') titles.push(inner);
  else if (body !== undefined) visit(body, inner, titles);
}

/** `it` of `it(…)` and `it.each(…)(…)`; not of one that is skipped. */
function calledName(expression: ts.Expression): string | undefined {
  if (ts.isIdentifier(expression)) return expression.text;
  if (!ts.isCallExpression(expression)) return undefined;
  const { expression: each } = expression;
  if (!ts.isPropertyAccessExpression(each) || each.name.text !== 'each') return undefined;
  return calledName(each.expression);
}
