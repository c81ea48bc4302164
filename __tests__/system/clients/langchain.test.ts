import { Channel, event } from '../../../lib';
import { Gate } from '../../support/gate';
import { releaseAll, serve } from '../../support/serve';
import { MESSAGES, statusOf } from './support/chat';
import { clientMatrix, describeFetchClient, type FetchClient, HALVES } from './support/fetch-client';
import { load } from './support/load';
import { chatCompletion } from './support/protocols';

const matrix = clientMatrix();

/** It uses the `openai` package, with its own retries. */
const CHAT_OPENAI: FetchClient = {
  name: '@langchain/openai ChatOpenAI',
  method: 'post',
  path: '/v1/chat/completions',
  answer: chatCompletion,
  async read(base, { signal, maxRetries, onText }) {
    const { ChatOpenAI } = await load('@langchain/openai');
    const configuration = { baseURL: `${base}/v1` };
    const model = new ChatOpenAI({ model: 'small', apiKey: 'secret', maxRetries, configuration });
    let text = '';
    for await (const chunk of await model.stream(MESSAGES, { signal })) {
      text += chunk.text;
      onText(text);
    }
    return text;
  },
  statusOf,
  retries: true,
};

/** The agent server of LangGraph, in the mode of custom events. */
const LANGGRAPH: FetchClient = {
  name: '@langchain/langgraph-sdk runs.stream()',
  method: 'post',
  path: '/runs/stream',
  answer: () => ({
    first: [{ run_id: 'run_1', attempt: 1 }, { text: HALVES[0] }].map(langGraphEvent),
    rest: [{ text: HALVES[1] }].map(langGraphEvent),
  }),
  async read(base, { signal, maxRetries, onText }) {
    const { Client } = await load('@langchain/langgraph-sdk');
    const client = new Client({ apiUrl: base, apiKey: null, callerOptions: { maxRetries } });
    let text = '';
    const parts = client.runs.stream(null, 'agent', { input: {}, streamMode: 'custom', signal });
    for await (const part of parts) {
      if (part.event === 'metadata') continue;
      if (part.event !== 'custom') throw new Error(`Expected a part of the answer, got ${part.event}.`);
      text += (part.data as { text: string }).text;
      onText(text);
    }
    return text;
  },
  statusOf,
  // Not a POST that was answered.
  retries: false,
};

function langGraphEvent(data: object): unknown {
  return event('run_id' in data ? 'metadata' : 'custom', data);
}

describeFetchClient(CHAT_OPENAI, matrix);

describeFetchClient(LANGGRAPH, matrix);

describe('@langchain/langgraph-sdk with a run that can be joined', () => {
  afterEach(releaseAll);

  it('continues after a lost connection with the last event ID, and receives each part once', async () => {
    const proceed = new Gate();
    const lastEventIds: string[] = [];
    const run = Channel.from(async function* () {
      yield langGraphEvent({ run_id: 'run_1', attempt: 1 });
      yield langGraphEvent({ text: HALVES[0] });
      await proceed.promise;
      yield langGraphEvent({ text: HALVES[1] });
    });
    const server = await serve((app, sse) => {
      app.post('/threads/:thread/runs/stream', (_req, res) => {
        res.set('Location', '/threads/thread_1/runs/run_1/stream');
        return run;
      });
      // One line in the route: the SDK's GET names the type of an event stream.
      app.get(
        '/threads/:thread/runs/:run/stream',
        (req, _res, next) => {
          lastEventIds.push(req.get('Last-Event-ID') ?? '');
          next();
        },
        sse(() => run, { client: 'fetch' }),
      );
      app.get('/threads/:thread/runs/:run', (_req, res) => res.json({ status: 'success' }));
    });
    const { Client } = await load('@langchain/langgraph-sdk');
    const client = new Client({ apiUrl: server.url(''), apiKey: null, callerOptions: { maxRetries: 0 } });
    const parts: unknown[] = [];

    for await (const part of client.runs.stream('thread_1', 'agent', { input: {}, streamMode: 'custom' })) {
      if (part.event !== 'custom') continue;
      parts.push(part.data);
      if (parts.length > 1) continue;
      server.server.closeAllConnections();
      proceed.open();
    }

    expect(parts).toEqual([{ text: HALVES[0] }, { text: HALVES[1] }]);
    expect(lastEventIds).toEqual([expect.stringMatching(/.-2$/)]);
  });
});
