import { event } from '../../../lib';
import { statusOf } from './support/chat';
import { clientMatrix, describeFetchClient, type FetchClient, HALVES } from './support/fetch-client';
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
