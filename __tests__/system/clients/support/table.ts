import { versionOf } from './load';

/** A row of the table of clients. */
export interface ClientRow {
  readonly client: string;
  /** The packages whose versions were tested; none for what a browser or the system provides. */
  readonly packages: readonly string[];
  readonly asItIs: string;
  readonly oneLine: string;
  /** The test file, and the names in it that belong to this client. */
  readonly test: readonly [file: string, ...names: string[]];
}

const STREAM = 'every event, resumption, the end, reconnection after a deploy';
const ANSWER = 'the whole answer, real statuses, aborts; a cut answer is an error';
const CLIENTS = 'system/clients';
const FIELD = 'system/field/clients';
const NONE = '–';

/** The table of docs/clients.md. A client is in it if the tests run it with the default options of the package. */
export const EVENT_SOURCES: readonly ClientRow[] = [
  {
    client: '`EventSource` in Chromium',
    packages: [],
    asItIs: STREAM,
    oneLine: NONE,
    test: [`${CLIENTS}/event-sources`, 'EventSource'],
  },
  {
    client: '`eventsource`',
    packages: ['eventsource'],
    asItIs: STREAM,
    oneLine: `${NONE}; version 4 ignores an id without data, and cannot send one beyond latin1: use ASCII ids`,
    test: [`${CLIENTS}/event-sources`, 'eventsource'],
  },
  {
    client: '`event-source-polyfill`',
    packages: ['event-source-polyfill'],
    asItIs: `${STREAM}; the last event ID arrives in the query, and it ignores an id without data`,
    oneLine: NONE,
    test: [`${CLIENTS}/event-sources`, 'event-source-polyfill'],
  },
  {
    client: '`react-native-sse`',
    packages: ['react-native-sse'],
    asItIs: 'every event, resumption; it does not reconnect after a connection that was cut',
    oneLine:
      "`source.addEventListener('end', () => source.close())`, or a finished stream is requested again for ever",
    test: [`${CLIENTS}/event-sources`, 'react-native-sse'],
  },
  {
    client: 'htmx 2 with `htmx-ext-sse`',
    packages: ['htmx.org', 'htmx-ext-sse'],
    asItIs: 'every event, resumption',
    oneLine: '`sse-close="end"`, or a finished stream is requested again for ever',
    test: [`${CLIENTS}/event-sources`, 'htmx.org', 'htmx-ext-sse'],
  },
  {
    client: 'htmx 4 with `hx-sse`',
    packages: ['htmx.org4'],
    asItIs: 'every event, resumption',
    oneLine: '`hx-sse:close="end"`, or a finished stream is requested again for ever',
    test: [`${CLIENTS}/event-sources`, 'htmx.org4'],
  },
  {
    client: '`eventsource-client`',
    packages: ['eventsource-client'],
    asItIs: `${STREAM}; it ignores an id without data`,
    oneLine: NONE,
    test: ['support/field-clients', 'eventsource-client'],
  },
  {
    client: '`launchdarkly-eventsource`',
    packages: ['launchdarkly-eventsource'],
    asItIs: 'every event, resumption; it ignores an id without data',
    oneLine: "`return event('done', data)`, because it emits its own `end` at each disconnect",
    test: ['support/field-clients', 'launchdarkly-eventsource'],
  },
  {
    client: '`@microsoft/fetch-event-source`',
    packages: ['@microsoft/fetch-event-source'],
    asItIs: 'every event, POST',
    oneLine: '`if (!data) return` in `onmessage`; to reconnect, also an abort in `onopen` on a 204',
    test: ['support/field-clients', '@microsoft/fetch-event-source'],
  },
];

export const FETCH_CLIENTS: readonly ClientRow[] = [
  {
    client: '`fetch`, POST or GET',
    packages: [],
    asItIs: ANSWER,
    oneLine: "`client: 'fetch'` in the route for a GET with `Accept: text/event-stream`",
    test: [`${CLIENTS}/libraries`, 'fetch, POST', 'fetch, GET'],
  },
  {
    client: '`undici`: `fetch()`, `request()`',
    packages: ['undici'],
    asItIs: ANSWER,
    oneLine: NONE,
    test: [`${CLIENTS}/libraries`, 'undici'],
  },
  { client: '`ky`', packages: ['ky'], asItIs: ANSWER, oneLine: NONE, test: [`${CLIENTS}/libraries`, 'ky'] },
  {
    client: '`ofetch`',
    packages: ['ofetch'],
    asItIs: ANSWER,
    oneLine: NONE,
    test: [`${CLIENTS}/libraries`, 'ofetch'],
  },
  {
    client: 'curl',
    packages: [],
    asItIs: 'every event, the end; `-H "Accept: text/event-stream"` makes it an `EventSource`',
    oneLine: NONE,
    test: [FIELD, 'curl'],
  },
  {
    client: '`openai`: chat completions, responses',
    packages: ['openai'],
    asItIs: `${ANSWER}; retries after a 429`,
    oneLine: "`return '[DONE]'`, as in its protocol",
    test: [`${CLIENTS}/openai`, 'openai chat.completions', 'openai responses'],
  },
  {
    client: '`@anthropic-ai/sdk`: messages',
    packages: ['@anthropic-ai/sdk'],
    asItIs: `${ANSWER}; retries after a 429`,
    oneLine: NONE,
    test: [`${CLIENTS}/anthropic`, '@anthropic-ai/sdk messages'],
  },
  {
    client: '`ai`: `streamText()` with three providers',
    packages: ['ai', '@ai-sdk/openai', '@ai-sdk/openai-compatible', '@ai-sdk/anthropic'],
    asItIs: `${ANSWER}; retries after a 429`,
    oneLine: NONE,
    test: [`${CLIENTS}/ai-sdk`, '@ai-sdk/openai-compatible', '@ai-sdk/openai', '@ai-sdk/anthropic'],
  },
  {
    client: '`ai`: `useChat`, also with `resume`',
    packages: ['@ai-sdk/react'],
    asItIs: ANSWER,
    oneLine: 'a 204 from the route for resumption when there is nothing to resume',
    test: [`${CLIENTS}/ai-sdk`, 'ai useChat', 'useChat({ resume: true })'],
  },
  {
    client: 'LangChain: `ChatOpenAI`',
    packages: ['@langchain/openai'],
    asItIs: `${ANSWER}; retries after a 429`,
    oneLine: NONE,
    test: [`${CLIENTS}/langchain`, '@langchain/openai ChatOpenAI'],
  },
  {
    client: 'LangGraph: `runs.stream()`',
    packages: ['@langchain/langgraph-sdk'],
    asItIs: ANSWER,
    oneLine: "`client: 'fetch'` in the route that joins a run, for its GET",
    test: [`${CLIENTS}/langchain`, '@langchain/langgraph-sdk runs.stream()'],
  },
  {
    client: 'MCP: `callTool()`, versions 1 and 2 of the client',
    packages: ['@modelcontextprotocol/sdk', '@modelcontextprotocol/client'],
    asItIs: 'progress, the result; a cut answer is never a success',
    oneLine: "`client: 'fetch'` for its GET, which resumes calls and receives notifications",
    test: [`${CLIENTS}/mcp`, '@modelcontextprotocol/sdk', '@modelcontextprotocol/client'],
  },
  {
    client: 'A2A: `sendMessageStream()`',
    packages: ['@a2a-js/sdk'],
    asItIs: ANSWER,
    oneLine: NONE,
    test: [`${CLIENTS}/agents`, '@a2a-js/sdk sendMessageStream()'],
  },
  {
    client: 'AG-UI: `HttpAgent`',
    packages: ['@ag-ui/client'],
    asItIs: ANSWER,
    oneLine:
      "in Node, `process.on('unhandledRejection', …)`: it throws the error of a lost connection a second time",
    test: [`${CLIENTS}/agents`, '@ag-ui/client HttpAgent', 'withoutRejections'],
  },
  {
    client: '`graphql-sse`, distinct connections',
    packages: ['graphql-sse'],
    asItIs: ANSWER,
    oneLine: "`return event('complete', '')`, as in its protocol",
    test: [`${CLIENTS}/graphql-sse`, 'graphql-sse, distinct connections'],
  },
];

/** The rows as a Markdown table. */
export function tableOf(rows: readonly ClientRow[]): string {
  const lines = rows.map(({ client, packages, asItIs, oneLine }) => {
    const versions = packages.map((name) => versionOf(name)).join(', ');
    return `| ${[client, versions === '' ? NONE : versions, asItIs, oneLine].join(' | ')} |`;
  });
  return [
    '| client | version | works as it is | needs one line |',
    '| --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}
