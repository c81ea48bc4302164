import { type Proof, rowsOf, WrittenTests } from '../../support/written-tests';

/** A fault that was found in use, and the tests that fail with it. */
interface Row {
  readonly fault: string;
  readonly tests: Proof;
  /** What is wanted and does not exist yet, so that no test can name it. */
  readonly missing?: string;
}

const STREAMED = 'express/route-results › app.use(sse()) › streams %s';
const SECOND_REQUEST =
  'express/route-results › app.use(sse()) › responds with an error to a second request for the same source: %s';
const UNSTREAMABLE =
  'express/unstreamed › a return value that app.use(sse()) does not stream › is reported after a second without a response: %s';
const ONCE_PER_ROUTE =
  'express/unstreamed › a return value that app.use(sse()) does not stream › is reported once per route, also if routes share their handler';
const NOT_STREAMED =
  'express/unstreamed › a source that nothing streams › is reported with its route and the cure: %s';
const MOUNTED_ELSEWHERE =
  'express/unstreamed › a source that nothing streams › is reported if sse() is mounted %s';
const NOT_CALLED = 'express/unstreamed › a function that nothing calls › is reported: %s';
const HEAD_USED =
  'stream/limits › a response head that the handler has begun › %s is used if it has the type of an event stream';
const HEAD_REFUSED =
  'stream/limits › a response head that the handler has begun › %s with another type is an error, and the response ends';
const HEAD_REFUSED_ALONE =
  'stream/limits › a response head that the handler has begun › %s with another type on node:http is a warning, and the connection closes';
const NOT_ANSWERED =
  'sse › sse(handler) whose handler returns nothing › is reported once per route if it %s and does not respond';
const SILENT_MISTAKE =
  'system/mistakes › a row of docs/troubleshooting.md without a code › says what the client gets: $see';
const SILENT_CURE =
  'system/mistakes › a row of docs/troubleshooting.md without a code › says what helps: $see';
const NEXT_CALLED = 'sse › next(error) in a generator whose stream has begun › is reported under %s';

/** The suite that every client runs that reads one response, by the call that runs it. */
const FETCH_CLIENTS = {
  openaiChat: 'system/clients/openai › describeFetchClient(CHAT)',
  openaiResponses: 'system/clients/openai › describeFetchClient(RESPONSES)',
  anthropic: 'system/clients/anthropic › describeFetchClient(MESSAGES_API)',
  aiCompatible: 'system/clients/ai-sdk › describeFetchClient(@ai-sdk/openai-compatible)',
  aiOpenai: 'system/clients/ai-sdk › describeFetchClient(@ai-sdk/openai)',
  aiAnthropic: 'system/clients/ai-sdk › describeFetchClient(@ai-sdk/anthropic)',
  useChat: 'system/clients/ai-sdk › describeFetchClient(USE_CHAT)',
  langchain: 'system/clients/langchain › describeFetchClient(CHAT_OPENAI)',
  langgraph: 'system/clients/langchain › describeFetchClient(LANGGRAPH)',
  a2a: 'system/clients/agents › describeFetchClient(A2A)',
  agUi: 'system/clients/agents › describeFetchClient(AG_UI)',
  graphql: 'system/clients/graphql-sse › describeFetchClient(DISTINCT)',
  mcp: 'system/clients/mcp › describeFetchClient(@modelcontextprotocol/sdk)',
  libraries: 'system/clients/libraries › describeFetchClient(client)',
} as const;

const ALL_CLIENTS = Object.values(FETCH_CLIENTS);
const LIBRARIES = ['fetch, POST', 'fetch, GET', 'ky', 'ofetch', 'undici', 'undici8'];

/** One test of that suite, for some clients or for all. */
function forClients(title: string, clients: readonly string[] = ALL_CLIENTS): string[] {
  return clients.map((client) => `${client} › ${title}`);
}

const WHOLE_ANSWER = 'receives a whole answer, each part before the next is yielded';

const EVENT_SOURCES = 'system/clients/event-sources';
const REQUESTS_AGAIN = 'requests a finished stream again and again without its line';
const RESUMES_BY =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the title as it is written
  'resumes a channel after the last event ID, which it sends in the ${client.resumesBy}';
const MCP = 'system/clients/mcp › $name with the sessions of the recipe';
const LAST_VALUE =
  'stream/client-kinds › a generator that returns, for a fetch client › sends %s as the last event, and ends the response regularly';
const REFUSED_JSON =
  'format/event-stream › data that JSON would turn into {} › is refused, with the remedy: %s';
const COPIES = 'system/two-copies › %s of this package';
const PROMISE_FROM = 'channel/callbacks › a callback that returns a promise, if %s';
const CONTEXT = 'channel/callbacks › the AsyncLocalStorage context';
const ROUTE_CONTEXT = 'stream/async-context › in the AsyncLocalStorage context of its own request runs';
const FINALLY_AT_YIELD = `${ROUTE_CONTEXT} › finally of a generator that waits at a yield, after %s in another context`;
const STEADY =
  'connection/progress › a client that reads one large event slowly but steadily › is not stalled (%s)';
const BUDGET =
  'channel/callbacks › a filter that takes 1 ms for each event › is called at most about ten times in a turn by %s';
const REPLAY_MEMORY = 'system/replay-memory › the memory of a replay at %s to clients that read nothing';
const PIPELINED = 'stream/limits › a pipelined request after an endless stream';
const POLLUTED =
  'system/polluted-prototype › what stands on Object.prototype › changes no stream, channel or error: %s';
const THROWN = 'stream/thrown-values › a thrown value';
const REPLACED_STRINGIFY =
  'format/event-stream › a JSON.stringify that was replaced › before this package was loaded has its lines split if it %s';
const FROZEN = 'channel/callbacks › parsed data › cannot be changed by %s for the next subscriber';
const MAX_REPLAY = 'channel/replay › maxReplayEvents with %s';
const ACCESS_CONTROL =
  'system/field/faults › E18: README, the recipe for auth and the reference say that `replay: false` and filters are no access control';

/** Nothing is sent, and nothing is said. */
const SILENCE: Readonly<Record<string, Row>> = {
  A1: {
    fault: 'a source that no handler returns by accident is not streamed under app.use(sse())',
    tests: [
      ...rowsOf(
        STREAMED,
        'a sync generator',
        'a web ReadableStream',
        'an async iterable that is no emitter',
        'an async iterator without throw()',
      ),
      'express/route-results › app.use(sse()) › closes each of these when the client disconnects',
      'system/clients/openai › the helpers of openai › is streamed by a route under `app.use(sse())` that returns its `Stream`',
      'system/clients/openai › the helpers of openai › is aborted when the client of such a route leaves',
      'system/clients/ai-sdk › streamText() › is streamed by a route under `app.use(sse())` that returns its `textStream`',
    ],
  },
  A2: {
    fault: 'what app.use(sse()) leaves alone is never answered, without a warning',
    tests: [
      ...rowsOf(
        UNSTREAMABLE,
        'an array',
        'an iterable (Set)',
        'an iterable (Array Iterator)',
        'a Node stream',
        'an event emitter',
      ),
      ...rowsOf(NOT_CALLED, 'the generator function generate', 'a function made by sse()'),
      ONCE_PER_ROUTE,
    ],
  },
  A3: {
    fault: 'sse() is missing, mounted later or mounted elsewhere, without a warning',
    tests: [
      ...rowsOf(NOT_STREAMED, 'an async generator', 'a generator', 'a channel', 'a subscription'),
      ...rowsOf(MOUNTED_ELSEWHERE, 'on another path', 'on another router', 'in another app'),
      'express/unstreamed › a source that nothing streams › is reported with the mount path of its router',
      'system/mistakes › in production › an app that imports the package and never calls sse() is warned on stderr',
    ],
  },
  A4: {
    fault: 'a head that was sent before the first value is followed by nothing',
    tests: [
      ...rowsOf(HEAD_USED, 'set and flushed', 'written with writeHead()', 'followed by a comment'),
      ...rowsOf(
        `${HEAD_USED}: in a middleware`,
        'set and flushed',
        'written with writeHead()',
        'followed by a comment',
      ),
      ...rowsOf(HEAD_REFUSED, 'flushed', 'written with writeHead()', 'followed by a comment', 'that of JSON'),
      ...rowsOf(HEAD_REFUSED_ALONE, 'flushed', 'written with writeHead()', 'followed by a comment'),
    ],
  },
  A5: {
    fault: 'a handler returns nothing and answers nothing, without a warning',
    tests: [
      ...rowsOf(
        NOT_ANSWERED,
        'returns nothing',
        'takes next and does not call it',
        'awaits its generator instead of returning it',
        'drops a subscription',
      ),
      ...rowsOf(
        'sse › sse(handler) whose handler returns nothing › is also reported under app.use(sse()) if it %s',
        'subscribes with res.sse',
        'reads the last event ID',
      ),
    ],
  },
  A6: {
    fault: 'a generator reads res.sse where no sse() runs, and is never started',
    tests: rowsOf(NOT_STREAMED, 'an async generator'),
  },
  A7: {
    fault: 'next(error) throws, and the client waits for ever',
    tests: [
      ...rowsOf(
        'sse › an error handler that fails › is answered with a 500 and reported with both errors if it %s before the head',
        'throws',
        'sets an invalid status',
      ),
      'sse › an error handler that fails › has its connection closed if it %s',
      'sse › an error handler that fails › leaves no listener, timer or stream',
    ],
  },
  A8: {
    fault: 'a generator in a controller of NestJS',
    tests: [
      'package/recipes/nestjs › docs/nestjs/main.mts on NestJS $version › streams a generator from a controller, with the parameter of its route',
      'sse › sse(handler) whose handler returns nothing › is not reported if it passes the request to a wrapped generator, as a controller does',
      ...rowsOf(SILENT_CURE, 'nothing in a controller of NestJS'),
    ],
  },
  A9: {
    fault: 'the return value is dropped by a wrapper, or by a router of Express 4',
    tests: rowsOf(
      SILENT_CURE,
      'no warning, and a wrapper is around the handler, such as `asyncHandler(fn)` or a route of `express-promise-router`',
      'no warning, and the route belongs to a router of Express 4',
    ),
  },
};

/** Something else is sent than was meant, and nothing is said. */
const WRONG: Readonly<Record<string, Row>> = {
  'A await gen()': {
    fault: 'await in place of yield* gives an empty finished stream',
    tests: [SILENT_MISTAKE, SILENT_CURE].flatMap((title) =>
      rowsOf(
        title,
        'an empty stream with the closing event, and the generator calls another one with `await`',
      ),
    ),
  },
  'A one generator for all': {
    fault: 'two requests share the values of a generator made at module level, and a third finds its end',
    tests: [
      ...rowsOf(SECOND_REQUEST, 'an async generator', 'a sync generator', 'a web ReadableStream'),
      'express/route-results › app.use(sse()) › does not disturb a stream whose source a second request gets',
    ],
  },
  'A res.write()': {
    fault: 'text that is written by hand overtakes a yielded value',
    tests: [SILENT_MISTAKE, SILENT_CURE].flatMap((title) =>
      rowsOf(title, 'text from `res.write()` arrives before a value that was yielded earlier'),
    ),
  },
  'A res.end()': {
    fault: 'res.end() after a yield loses the yielded value',
    tests: [SILENT_MISTAKE, SILENT_CURE].flatMap((title) =>
      rowsOf(title, 'a response without the last values, and without the closing event'),
    ),
  },
  'A next(err)': {
    fault: 'next(error) in a generator looks like success to an EventSource',
    tests: rowsOf(NEXT_CALLED, 'app.use(sse())', 'sse(handler)'),
  },
  'A res.status(401)': {
    fault: 'a status that is set before the first value is replaced by 200',
    tests: [SILENT_MISTAKE, SILENT_CURE].flatMap((title) =>
      rowsOf(title, 'the status is 200, although the generator has called `res.status(401)`'),
    ),
  },
  'A publish(type, data)': {
    fault: 'the second argument of publish() is ignored',
    tests: rowsOf(
      'channel/channel › publish() › takes one value: %s(%p, %p) rejects, and changes nothing',
      'publish',
      'end',
    ),
  },
  'A unawaited publish()': {
    fault: 'a rejected publish() that nothing handles ends the process, also in the README',
    tests: [
      ...rowsOf('channel/channel › publish() › rejects %s, and accepts later values', 'undefined'),
      'package/publishes › the promise of publish() in the README, the recipes and the demo › is awaited, returned or caught, because a rejection would end the process: %s',
      'package/publishes › the promise of publish() in the README, the recipes and the demo › is looked for in the README, in pages and in files',
      'system/field/faults › A: troubleshooting has a row for a process that ends with the rejection of a publish()',
    ],
  },
  'A yield* drops its value': {
    fault: 'the return value of a generator that is delegated to is lost',
    tests: [SILENT_MISTAKE, SILENT_CURE].flatMap((title) =>
      rowsOf(title, 'the data of the closing event is `null`, although an inner generator returned a value'),
    ),
  },
};

/** A message names the wrong remedy. */
const WRONG_REMEDY: Readonly<Record<string, Row>> = {
  'A app.use(sse)': {
    fault: 'the parentheses are missing',
    tests: 'sse › sse() › names the missing parentheses if Express calls it with a request',
  },
  'A event fields': {
    fault: 'a misspelt field of an event has no suggestion',
    tests: rowsOf(
      'format/event › event() › refuses the unknown field %s, and suggests the similar name',
      'Id',
    ),
  },
  'A signal was passed': {
    fault: 'the warning tells to pass a signal that was passed',
    tests:
      'stream/stream › the client disconnects › warns once per route about a generator that continues after its client has disconnected',
  },
};

/** Clients that read one response, and SDKs. */
const CLIENTS: Readonly<Record<string, Row>> = {
  B1: {
    fault: 'a client that sends Accept: application/json and means a stream gets a 406',
    tests: [
      'stream/stream › before the head › ignores an Accept without event streams, because SDKs send application/json and mean a stream',
      ...forClients(WHOLE_ANSWER, [FETCH_CLIENTS.openaiChat, FETCH_CLIENTS.anthropic]),
      ...rowsOf(`${FETCH_CLIENTS.libraries} › ${WHOLE_ANSWER}`, 'ofetch'),
    ],
  },
  B2: {
    fault: 'the closing event has empty data, or is an extra event for a client that reads one response',
    tests: [
      ...rowsOf('format/event-stream › encodeEnd() › sends %s', 'nothing'),
      ...rowsOf(LAST_VALUE, 'nothing', 'null'),
      ...forClients('receives nothing after the last event of a generator that returns nothing', [
        FETCH_CLIENTS.openaiResponses,
        FETCH_CLIENTS.aiCompatible,
        FETCH_CLIENTS.aiOpenai,
        FETCH_CLIENTS.aiAnthropic,
        FETCH_CLIENTS.useChat,
        FETCH_CLIENTS.agUi,
        FETCH_CLIENTS.graphql,
        FETCH_CLIENTS.langgraph,
      ]),
    ],
  },
  B3: {
    fault: 'a client of MCP resumes with ~end, gets a 204, and its call hangs',
    tests: [
      ...forClients(WHOLE_ANSWER, [FETCH_CLIENTS.mcp]),
      `${MCP} › never receives \`~end\` as a token to resume from`,
      `${MCP} › resumes a call after a lost connection: nothing is missed, nothing is repeated, the tool runs once`,
      ...rowsOf('stream/client-kinds › a request counts as › decided by hand: %s', 'fetch'),
      'package/recipes/mcp-server › docs/mcp-server › continues a call after the connection was lost',
    ],
  },
  B4: {
    fault: 'half an answer, or an empty one, is a success; a cut loses the last events',
    tests: [
      ...forClients('reports an error, not half an answer, when the generator throws in the middle'),
      ...forClients('reports an error when the generator throws directly after the first half'),
      ...forClients('reports an error, not half an answer, when sse.close() ends the stream'),
      ...forClients('reports an error, not half an answer, when maxDurationMs ends the stream'),
      ...forClients('receives a 503 when maxStreams streams are open'),
      ...forClients('receives a 503 from a closing server'),
      ...rowsOf(`${FETCH_CLIENTS.libraries} › ${WHOLE_ANSWER}`, ...LIBRARIES),
      'stream/client-kinds › an incomplete answer › is delivered to its last byte before it is cut (%i kB)',
      'stream/client-kinds › an incomplete answer › is delivered to its last byte also if the client takes that long after the cut',
      'system/field/clients › fetch rejects for an incomplete answer, but not before the page has read the last events',
      ...rowsOf(
        'stream/client-kinds › an incomplete answer › of a generator that throws is %s',
        'ended for an EventSource, which reconnects',
      ),
    ],
  },
  B5: {
    fault: 'an error after 150 ms is a 200',
    tests: [
      ...forClients('receives the status of an error that is thrown 150 ms after the request'),
      ...forClients('sends its request again after a 429 that is thrown after 150 ms', [
        FETCH_CLIENTS.openaiChat,
        FETCH_CLIENTS.openaiResponses,
        FETCH_CLIENTS.anthropic,
        FETCH_CLIENTS.aiCompatible,
        FETCH_CLIENTS.langchain,
        FETCH_CLIENTS.libraries,
      ]),
    ],
  },
  B6: {
    fault: "a returned '[DONE]' is dropped with end: 'reconnect'",
    tests: [
      ...rowsOf(
        "stream/client-kinds › a generator that returns, for a fetch client › sends the value as the last event to %s with end: 'reconnect'",
        'an EventSource',
        'a fetch client',
      ),
      "stream/stream › the generator returns › sends the return value as an ordinary event, and no 204, with end: 'reconnect'",
    ],
  },
  B7: {
    fault: 'the headers of the AI SDK are refused because of their Content-Type',
    tests: [
      'system/clients/ai-sdk › streamText() › is streamed by a route that returns its UI message stream, with the headers of the AI SDK',
      ...rowsOf(
        'stream/options › headers › may set the Content-Type of an event stream: %s',
        'text/event-stream',
        'text/event-stream; charset=utf-8',
      ),
    ],
  },
  B8: {
    fault: 'a deploy cuts an answer that is nearly done, and its signal does not say why',
    tests: [
      ...forClients('receives the whole answer when sse.close() is called 300 ms before its end'),
      'stream/client-kinds › sse.close(), with a fetch client › cuts it after drainMs, and reports why',
      'stream/client-kinds › the reason of an aborted signal › has the code ERR_SSE_CLIENT_LEFT after the client has left',
      'stream/client-kinds › the reason of an aborted signal › has the code ERR_SSE_STALLED if the client does not read',
      'stream/client-kinds › an incomplete answer › of maxDurationMs is cut after finally has run',
    ],
  },
  B9: {
    fault: 'two channels have equal ids, so that a client of MCP resumes the wrong stream',
    tests: [
      ...rowsOf(
        'channel/replay › canResume() › is true for the ids after which %s has retained everything',
        'a log in memory',
        'a stored log',
      ),
      'channel/replay › canResume() › is false for an id from before what maxReplayEvents replays',
      `${MCP} › gives each of its streams other ids`,
      'redis/unique-ids › gives two logs no equal id, also not in the same millisecond',
      'redis/unique-ids › does not take the id of another log for its own',
      'redis/unique-ids › sends a gap to a client with the id of another log',
      'package/recipes/mcp-server › docs/mcp-server › responds with 400 to the id of an event that is not of this session, and replays nothing for it',
      'package/recipes/mcp-server › give no two messages an equal id, and resume the stream of an id and no other',
    ],
  },
  B10: {
    fault: 'a client waits for a run that never began, or whose end another process announces too late',
    tests: [
      'channel/runs › createRuns() in memory › has no channel for a key that never ran, so that a route can answer 204',
      'redis/runs › finds no run for a key that never ran',
      ...rowsOf(
        'redis/runs › aborts a source that only waits within a second of %s() in another process',
        'stop',
        'end',
      ),
      'redis/runs › fails the subscribers in every process when the runner has died, and those that are late',
      'system/clients/ai-sdk › useChat({ resume: true }) › resumes nothing after a 204',
      'system/clients/ai-sdk › useChat({ resume: true }) › receives the whole answer in a second page, while the first one still reads it',
      'package/recipes/use-chat › receives a 204 when there is nothing to resume',
    ],
  },
  B11: {
    fault: 'the envelope of a protocol needs a generator around the channel, which loses the ids',
    tests: [
      'channel/map › map() › sends what the function returns, with the ids of the events, and the end unchanged',
      'channel/map › map() › lets a client of a route resume, also through yield*',
      'system/clients/agents › a run that is mapped into the protocol of A2A › is read by two clients, each with the ids of its own request',
      'system/clients/graphql-sse › a channel that is mapped into the protocol of graphql-sse › is read until its closing event, which is the last one of the protocol',
      'system/clients/graphql-sse › a channel that is mapped into the protocol of graphql-sse › reports an error to the client when the channel is closed in the middle',
    ],
  },
  B12: {
    fault: 'clients that do not stop at a 204 run a finished job in a loop, and the pages claim otherwise',
    tests: [
      ...['htmx.org', 'htmx.org4', 'react-native-sse'].map(
        (client) => `${EVENT_SOURCES} › describeEventSource(${client}) › ${REQUESTS_AGAIN}`,
      ),
      'system/clients/table › docs/clients.md › has the table of "$heading", with the installed versions',
      'system/clients/table › docs/clients.md › names only tested clients: $client',
      'system/field/faults › B12: README and the pages claim nothing of clients beyond the tables, which name those that do not stop at a 204',
    ],
  },
  B13: {
    fault: 'the last event ID in the query is not read',
    tests: [
      'connection/head › the last event ID in the query of a request › resumes a channel exactly after that event',
      'connection/head › the last event ID in the query of a request › is answered by a 204 after the end of a stream, whose generator does not start again',
      'connection/head › lastEventIdOf() of a URL › gives precedence to the header, unless that is empty',
      `${EVENT_SOURCES} › describeEventSource(event-source-polyfill) › ${RESUMES_BY}`,
    ],
  },
  B14: {
    fault: 'npm eventsource cannot send each id, and the pages say otherwise',
    tests: [
      `${EVENT_SOURCES} › eventsource › sends an id beyond latin1 in version 5`,
      `${EVENT_SOURCES} › eventsource › does not reconnect after an id beyond latin1 in version 4`,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the title as it is written
      `${EVENT_SOURCES} › describeEventSource(NPM) › ${"${client.ignoresIdWithoutData ? 'ignores' : 'keeps'} an id without data"}`,
      'system/clients/table › docs/clients.md › has the table of "$heading", with the installed versions',
    ],
  },
};

/** Faults that others have reported. */
const REPORTS: Readonly<Record<string, Row>> = {
  C1: {
    fault: 'without a charset, a client reads the text as ISO-8859-1',
    tests: [
      'connection/head › writeHead() › sets the headers of an event stream, and no others',
      'stream/stream › before the head › sends the headers of an event stream, and keeps headers set earlier',
    ],
  },
  C2: {
    fault: 'a steady reader of a large event is disconnected, again and again',
    tests: rowsOf(STEADY, 'a generator', 'a channel'),
  },
  C3: {
    fault: 'two copies of the package do not recognise each other',
    tests: [
      `${COPIES} › makes events and comments that a route yields and returns`,
      `${COPIES} › makes events that are instances of ServerSentEvent, and errors that are instances of SseError`,
      `${COPIES} › makes events that a channel publishes, and no comments`,
      `${COPIES} › has the fields of its events checked again`,
      `${COPIES} › has the fields of a returned event checked again`,
      `${COPIES} › has published events that a map function may return`,
      `${COPIES} › has subscriptions and channels that are named if nothing streams them`,
      ...rowsOf(
        `${COPIES} › has %s that a route returns › from %s: replayed, live, and to its end`,
        'a channel',
        'a filtered channel',
        'a subscription',
        'a second build',
        'a minified bundle',
      ),
      'system/two-copies › CommonJS, and a copy in an ES module › recognise each other in one process',
      'system/two-copies › a copy of another version › has channels that a route reads as iterators',
    ],
  },
  C4: {
    fault: 'the types fail in older compilers, and with exactOptionalPropertyTypes',
    tests: [
      'package/types › the types › compile: %s',
      'package/types › the types › reject: %s',
      'package/package › the packed tarball › type-checks in TypeScript by %s, including its own declarations',
      'package/package › the packed tarball › type-checks without Express',
      'package/types › with other compilers, settings and types › compile: TypeScript $typescript, @types/express $express, @types/node $node, $resolution',
      'package/types › with other compilers, settings and types › reject, with a readable message: TypeScript $typescript',
    ],
  },
  C5: {
    fault: 'more than ten awaits with one signal cause a warning of a leak',
    tests: [
      'system/field/faults › C5: 45 awaits with the signal of a stream cause no warning of too many listeners',
      'system/field/faults › C5: 45 awaits with the signal of a run cause no warning of too many listeners',
    ],
  },
  C6: {
    fault: 'finally and the error handler run without the AsyncLocalStorage store of their request',
    tests: [
      `${ROUTE_CONTEXT} › finally, after its client has left unread`,
      `${ROUTE_CONTEXT} › the error handler, after another context has closed the connection of a client that does not read`,
      `${ROUTE_CONTEXT} › onError, and the error handler`,
    ],
  },
  C7: {
    fault: 'a filter sees the store of the publisher, so that one user gets what another one may see',
    tests: [
      ...rowsOf(
        `${CONTEXT} › if %s › of %s is that of its own request, whoever publishes`,
        'a route returns it',
        'a generator delegates to it',
        'a filter',
        'a filter after a map',
      ),
      `${CONTEXT} › if %s › of a filter is the same for a replay`,
    ],
  },
  C8: {
    fault: 'a value of which JSON keeps nothing is sent as {}',
    tests: [
      ...rowsOf(REFUSED_JSON, 'an Error', 'a Map', 'a Set', 'a RegExp', 'a WeakMap'),
      'format/event-stream › encode() › refuses › a promise, and names the remedy',
    ],
  },
  C9: {
    fault: 'a res.sse() of Express itself collides with the context',
    tests: [
      ...rowsOf(
        'system/field/faults › C9: a res.sse of Express itself › is shadowed where an sse() applies: %s',
        'a method',
        'a method that cannot be replaced',
        'a getter',
      ),
      'system/field/faults › C9: a res.sse of Express itself › is kept for the routes of an app without an sse()',
      'express/unstreamed › a source that nothing streams › is reported if res.sse is a method of the framework',
    ],
  },
};

/** Hostile input, and faults of others. */
const HOSTILE: Readonly<Record<string, Row>> = {
  E1: {
    fault: 'an async filter shows every event to every subscriber, and its rejection ends the process',
    tests: [
      ...rowsOf(
        `${PROMISE_FROM} › fails the stream of a filter that returns %s, which shows nothing`,
        'a promise of true',
        'a promise of false',
        'a promise that rejects',
        'a thenable',
        'a route returns it',
        'a generator delegates to it',
      ),
      ...rowsOf(
        `${PROMISE_FROM} › fails the stream of a map function that returns %s`,
        'a promise that rejects',
      ),
      ...rowsOf(
        `${PROMISE_FROM} › fails the stream of a filter whose data parse() makes as %s`,
        'a promise that rejects',
      ),
      ...rowsOf('channel/callbacks › publish() rejects if serialize() returns %s', 'a promise that rejects'),
      ...rowsOf(
        'stream/limits › maxStreamsPerKey › passes the error of a keyOf that %s to next, and starts no generator',
        'returns a promise, also one that rejects',
      ),
    ],
  },
  E2: {
    fault: 'code of one request runs with the store of another, or keeps it in memory',
    tests: [
      ...rowsOf(
        `${CONTEXT} › if %s › of %s is that of its own request, whoever publishes`,
        'a filter',
        'the second of two filters',
      ),
      ...rowsOf(FINALLY_AT_YIELD, 'sse.close()', 'close() of the stream'),
      `${ROUTE_CONTEXT} › finally, after sse.close() in another context`,
      `${ROUTE_CONTEXT} › return() of a hand-made iterator`,
      'stream/async-context › the keep-alive timer, which all streams share › does not retain the store of the first request',
      'channel/replay › a store of AsyncLocalStorage › %s is not kept in memory by the channel',
    ],
  },
  E3: {
    fault: 'a made-up last event ID and a slow filter block the event loop',
    tests: [
      ...rowsOf(BUDGET, 'a client with an id that was made up', '10 clients with ids that were made up'),
      'channel/callbacks › a filter that takes 1 ms for each event › is called at most about ten times in a turn by 50 iterators',
      'channel/callbacks › a filter that takes 1 ms for each event › leaves turns for other subscribers',
    ],
  },
  E4: {
    fault: 'a half-closed client that reads nothing keeps its generator, slot and socket',
    tests: [
      'connection/progress › a client that reads nothing › is disconnected after stallTimeoutMs, and finally runs',
      ...rowsOf(
        'connection/progress › a client that reads nothing › and has sent FIN is disconnected after stallTimeoutMs, although no write has asked to wait: %s',
        'directly',
        'through a wrapped res.write',
      ),
      'connection/progress › a client that reads nothing › and has sent FIN is disconnected after stallTimeoutMs, although no write has asked to wait: from a channel',
    ],
  },
  E5: {
    fault: 'stalled means not finished instead of no progress (as C2)',
    tests: rowsOf(STEADY, 'a generator', 'a channel'),
  },
  E6: {
    fault: 'after a blocked event loop, a timer judges before what has arrived is read',
    tests: [
      'connection/progress › after a blocked event loop › a client that has read everything is not stalled',
      'connection/progress › after a blocked event loop › a check that has been answered meanwhile still becomes a status',
    ],
  },
  E7: {
    fault: 'each client that reads nothing has its own copy of a large event',
    tests: rowsOf(
      `${REPLAY_MEMORY} › of one event of 12 MB to 100 clients is less than four times its size`,
      '/',
      '/filter',
      '/map',
    ),
  },
  E8: {
    fault: 'a filtered replay keeps the parsed values of the whole log in memory',
    tests: [
      'channel/replay › the memory of a replay › has parsed values of a few hundred events only, and of none after the client has left',
      'channel/replay › the memory of a replay › has the parsed values of large events only while they are delivered',
      ...rowsOf(`${REPLAY_MEMORY} › of 16 MiB to 1,000 clients is less than 64 MiB`, '/', '/filter', '/map'),
    ],
  },
  E9: {
    fault: 'pipelined requests on one connection use up maxStreams',
    tests: [
      `${PIPELINED} › neither starts its generator nor takes a slot, and is released with the connection`,
      `${PIPELINED} › is streamed after the previous stream has ended`,
      'stream/stream › a pipelined response › is released when the connection closes before its turn, and has neither started nor taken a slot',
    ],
  },
  E10: {
    fault: 'a large body that nobody reads hides that the client has left',
    tests: [
      'connection/progress › a request with a large body that the handler does not read › does not hide that its client has left',
      'connection/progress › a request with a large body that the handler does not read › can still be read later if it is small',
    ],
  },
  E11: {
    fault: 'what stands on Object.prototype is taken for fields, options and details',
    tests: [
      ...rowsOf(POLLUTED, 'id', 'status', 'window', 'anything'),
      'format/event › what stands on Object.prototype › is no field of an event: %s',
      'errors › what stands on Object.prototype › is no detail of an SseError: %s',
      'validate › checked() › ignores what stands on Object.prototype',
    ],
  },
  E12: {
    fault: 'a thrown value that throws when it is read ends the process, or the client waits for ever',
    tests: [
      ...rowsOf(
        `${THROWN} › before the first value is a 500 and a warning: %s`,
        'an error whose stack throws',
        'a revoked Proxy',
      ),
      ...rowsOf(
        `${THROWN} › of the handler itself is a 500 and a warning: %s`,
        'an error whose stack throws',
        'a revoked Proxy',
      ),
      ...rowsOf(
        `${THROWN} › after the first value ends the stream, with a warning: %s`,
        'an object whose inspect function throws',
        'a revoked Proxy',
      ),
      ...rowsOf(`${THROWN} › of a run fails its channel: %s`, 'a revoked Proxy'),
    ],
  },
  E13: {
    fault: 'end() on a full log evicts an event',
    tests: [
      'channel/replay › end() on a full log › evicts no event',
      'channel/replay › end() on a full log › keeps the last event for late subscribers, also if it is larger than maxBytes',
      'channel/replay › end() on a full log › evicts no event of those that a process holds of a stored log',
    ],
  },
  E14: {
    fault: 'a replaced JSON.stringify breaks frames; a 406 repeats the Accept header and fills the log',
    tests: [
      ...rowsOf(REPLACED_STRINGIFY, 'indents', 'indents, as a bound function'),
      'format/event-stream › a JSON.stringify that was replaced › before this package was loaded has CR and CRLF split, too',
      'system/field/faults › E14: a client that accepts no event stream › is answered by an error that does not repeat its Accept header',
      'system/field/faults › E14: a client that accepts no event stream › causes no warning on a server without an error handler',
    ],
  },
  E15: {
    fault: 'a short request buys the replay of the whole log, or many commands of Redis',
    tests: [
      ...rowsOf(
        `${MAX_REPLAY} › sends a gap and the newest events if the last event ID %s`,
        'is unknown',
        'a log in memory',
        'a log of which nothing is in memory',
      ),
      'channel/replay › a log that is not in memory › is read once for all clients that ask for the same events at a time',
      'channel/replay › a log that is not in memory › is read once for subscribers that ask for the same page before it has arrived',
      'redis/redis-log › idBeforeNewest() › is asked once for all subscribers of a channel that replays at most maxReplayEvents',
      'redis/redis-log › idBeforeNewest() › finds the id with one command, however long the log is',
    ],
  },
  E16: {
    fault: 'one client uses up maxStreams',
    tests: [
      'stream/limits › maxStreamsPerKey › limits the streams of one key, and releases each when it closes',
      'stream/limits › maxStreamsPerKey › counts by the address of the client by default',
      'stream/limits › maxStreamsPerKey › passes the number and the limit of a fetch client to next, with 503',
    ],
  },
  E17: {
    fault: 'a change that one subscriber makes to the data reaches the next',
    tests: [
      ...rowsOf(FROZEN, 'a filter', 'a map function', 'an iterator', 'an iterator after a map function'),
      'channel/callbacks › parsed data › that is nested 100,000 levels deep is frozen, too',
    ],
  },
  E18: {
    fault: 'replay: false and filters are taken for access control',
    tests: [
      ACCESS_CONTROL,
      ...rowsOf(`${MAX_REPLAY} › sends a gap and the newest events if the last event ID %s`, 'is unknown'),
    ],
  },
};

const ROWS: Readonly<Record<string, Row>> = {
  ...SILENCE,
  ...WRONG,
  ...WRONG_REMEDY,
  ...CLIENTS,
  ...REPORTS,
  ...HOSTILE,
};

function numbered(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${letter}${index + 1}`);
}

describe('the list of faults found in use', () => {
  const written = WrittenTests.read();

  afterAll(() => {
    const missing = Object.entries(ROWS).flatMap(([name, row]) =>
      row.missing === undefined ? [] : [`${name}: ${row.missing}`],
    );
    process.stdout.write(`\nNot built yet, so not tested:\n${missing.join('\n')}\n\n`);
  });

  it('has a row for each fault', () => {
    expect(Object.keys(ROWS).filter((name) => /^[A-E]\d+$/.test(name))).toEqual([
      ...numbered('A', 9),
      ...numbered('B', 14),
      ...numbered('C', 9),
      ...numbered('E', 18),
    ]);
    expect([Object.keys(WRONG).length, Object.keys(WRONG_REMEDY).length]).toEqual([9, 3]);
  });

  it.each(Object.entries(ROWS))('names tests that exist: %s', (_name, { tests }) => {
    expect([tests].flat()).not.toEqual([]);
    expect(written.missing(tests)).toEqual([]);
  });

  it.each([
    'system/field/list › the list of faults found in use › has no row',
    'system/field/list › the list of faults found in use › names tests that exist: %s ← A0',
    'system/clients/openai › describeFetchClient(NONE) › receives a whole answer, each part before the next is yielded',
  ])('would notice a test or a row of a table that does not exist: %s', (named) => {
    expect(written.missing(named)).toEqual([named]);
  });

  it('contains every test that is named after a fault', () => {
    const named = Object.values(ROWS).flatMap(({ tests }) =>
      [tests].flat().map((each) => each.split(' ← ')[0]),
    );

    expect(named).toEqual(
      expect.arrayContaining(
        [...written.titles].filter((title) => title.startsWith('system/field/faults › ')),
      ),
    );
  });
});
