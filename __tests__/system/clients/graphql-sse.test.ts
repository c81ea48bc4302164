import { setImmediate } from 'node:timers/promises';
import { Channel, event } from '../../../lib';
import { Gate } from '../../support/gate';
import { releaseAll, serve } from '../../support/serve';
import { statusOf } from './support/chat';
import { clientMatrix, describeFetchClient, type FetchClient, HALVES, TEXT } from './support/fetch-client';
import { load } from './support/load';

const matrix = clientMatrix();

const SUBSCRIPTION = { query: 'subscription { answer }' };

interface Result {
  readonly answer: string;
}

/** The mode of distinct connections: one request for each subscription. */
const DISTINCT: FetchClient = {
  name: 'graphql-sse, distinct connections',
  method: 'post',
  path: '/graphql',
  answer: () => ({
    first: [event('next', { data: { answer: HALVES[0] } })],
    rest: [event('next', { data: { answer: HALVES[1] } })],
    last: event('complete', ''),
  }),
  async read(base, { signal, maxRetries, onText }) {
    const { createClient } = await load('graphql-sse');
    const client = createClient({ url: `${base}/graphql`, retryAttempts: maxRetries });
    signal.addEventListener('abort', () => client.dispose());
    let text = '';
    for await (const { data } of client.iterate<Result>(SUBSCRIPTION)) {
      text += data?.answer ?? '';
      onText(text);
    }
    return text;
  },
  statusOf,
  retries: false,
};

describeFetchClient(DISTINCT, matrix);

describe('a channel that is mapped into the protocol of graphql-sse', () => {
  afterEach(releaseAll);

  it('is read until its closing event, which is the last one of the protocol', async () => {
    const answers = new Channel<string>({ replay: true });
    const server = await serve((app) => {
      app.post('/graphql', () => answers.map((answer) => event('next', { data: { answer } })));
    });
    for (const half of HALVES) await answers.publish(half);
    await answers.end(event('complete', ''));

    const text = await DISTINCT.read(server.url(''), {
      signal: new AbortController().signal,
      maxRetries: 0,
      onText: () => undefined,
    });

    expect(text).toBe(TEXT);
  });

  it('reports an error to the client when the channel is closed in the middle', async () => {
    const answers = new Channel<string>({ replay: true });
    const server = await serve((app) => {
      app.post('/graphql', () => answers.map((answer) => event('next', { data: { answer } })));
    });
    await answers.publish(HALVES[0]);
    const received = new Gate();
    const reading = DISTINCT.read(server.url(''), {
      signal: new AbortController().signal,
      maxRetries: 0,
      onText: () => received.open(),
    });
    reading.catch(() => undefined);
    await received.promise;

    await answers.close();

    await expect(reading).rejects.toThrow();
  });

  it('is subscribed again by the client after a lost connection, with its default options', async () => {
    const answers = new Channel<string>({ replay: true });
    const server = await serve((app) => {
      app.post('/graphql', () => answers.map((answer) => event('next', { data: { answer } })));
    });
    await answers.publish(HALVES[0]);
    const { createClient } = await load('graphql-sse');
    const client = createClient({ url: server.url('/graphql'), retry: async () => undefined });
    const results = client.iterate<Result>(SUBSCRIPTION);
    expect((await results.next()).value).toMatchObject({ data: { answer: HALVES[0] } });

    server.server.closeAllConnections();
    await answers.publish(HALVES[1]);

    // Without a last event ID, a new subscription begins anew: the first half is sent again.
    expect((await results.next()).value).toMatchObject({ data: { answer: HALVES[0] } });
    expect((await results.next()).value).toMatchObject({ data: { answer: HALVES[1] } });
    await results.return?.();
    client.dispose();
    while (server.sse.size > 0) await setImmediate();
    server.server.closeAllConnections();
  });
});
