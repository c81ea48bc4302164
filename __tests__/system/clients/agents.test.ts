import express from 'express';
import { Channel } from '../../../lib';
import { Gate } from '../../support/gate';
import { releaseAll, serve } from '../../support/serve';
import { statusOf } from './support/chat';
import { clientMatrix, describeFetchClient, type FetchClient, HALVES, TEXT } from './support/fetch-client';
import { load } from './support/load';
import { withoutRejections } from './support/rejections';

const matrix = clientMatrix();

const PLACE = { taskId: 'task_1', contextId: 'context_1' };

/** A part of the answer. */
function artifact(text: string, more: object = {}) {
  return { artifactUpdate: { ...PLACE, artifact: { artifactId: 'answer', parts: [{ text }] }, ...more } };
}

function status(state: string) {
  return { statusUpdate: { ...PLACE, status: { state } } };
}

/** A response of JSON-RPC. */
function replyTo(id: unknown, result: object) {
  return { jsonrpc: '2.0', id, result };
}

/** Agent2Agent 1.0 over JSON-RPC: each event is a response with the id of the request. */
const A2A: FetchClient = {
  name: '@a2a-js/sdk sendMessageStream()',
  method: 'post',
  path: '/a2a',
  answer({ body }) {
    const reply = (result: object) => replyTo(body.id, result);
    return {
      first: [status('TASK_STATE_WORKING'), artifact(HALVES[0])].map(reply),
      rest: [artifact(HALVES[1], { append: true, lastChunk: true })].map(reply),
      last: reply(status('TASK_STATE_COMPLETED')),
    };
  },
  addRoutes(app, base) {
    app.get('/.well-known/agent-card.json', (_req, res) => {
      res.json({
        name: 'Weather',
        description: 'Answers questions about the weather.',
        version: '1.0.0',
        supportedInterfaces: [{ url: `${base()}/a2a`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
        capabilities: { streaming: true },
        defaultInputModes: ['text/plain'],
        defaultOutputModes: ['text/plain'],
        skills: [],
      });
    });
  },
  async read(base, { signal, onText }) {
    const [{ ClientFactory }, { Role }] = await Promise.all([
      load('@a2a-js/sdk/client'),
      load('@a2a-js/sdk'),
    ]);
    const client = await new ClientFactory().createFromUrl(base);
    const parts = [{ content: { $case: 'text', value: 'Hi' }, mediaType: 'text/plain', filename: '' }];
    const request = { message: { messageId: 'message_1', role: Role.ROLE_USER, parts } };
    let text = '';
    for await (const { payload } of client.sendMessageStream(request as never, { signal })) {
      if (payload?.$case === 'artifactUpdate') {
        for (const { content } of payload.value.artifact?.parts ?? []) {
          if (content?.$case === 'text') text += content.value;
        }
      }
      onText(text);
    }
    return text;
  },
  retries: false,
};

interface ContentEvent {
  readonly event: { readonly delta: string };
  readonly textMessageBuffer: string;
}

/**
 * The events of a run of the Agent-User Interaction Protocol. Version 1.0.0 of the client reports a lost connection to the
 * application, and throws the same error a second time where the application cannot catch it.
 */
const AG_UI: FetchClient = {
  name: '@ag-ui/client HttpAgent',
  method: 'post',
  path: '/agent',
  answer({ body: { threadId, runId } }) {
    const content = (delta: string) => ({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'message_1', delta });
    return {
      first: [
        { type: 'RUN_STARTED', threadId, runId },
        { type: 'TEXT_MESSAGE_START', messageId: 'message_1', role: 'assistant' },
        content(HALVES[0]),
      ],
      rest: [content(HALVES[1]), { type: 'TEXT_MESSAGE_END', messageId: 'message_1' }],
      last: { type: 'RUN_FINISHED', threadId, runId },
    };
  },
  async read(base, { signal, onText }) {
    const { HttpAgent } = await load('@ag-ui/client');
    const agent = new HttpAgent({
      url: `${base}/agent`,
      initialMessages: [{ id: 'message_0', role: 'user', content: 'Hi' }],
    });
    signal.addEventListener('abort', () => agent.abortRun());
    let failure: Error | undefined;
    const onRunFailed = ({ error }: { error: Error }) => {
      failure = error;
      // Otherwise it also prints the error. Its types do not know this field here.
      return { stopPropagation: true } as object;
    };
    const onTextMessageContentEvent = ({ event, textMessageBuffer }: ContentEvent) => {
      onText(textMessageBuffer + event.delta);
    };
    const { newMessages } = await withoutRejections(/terminated/, () =>
      agent.runAgent({}, { onTextMessageContentEvent, onRunFailed }),
    );
    if (failure !== undefined) throw failure;
    return newMessages.map(({ content }) => content).join('');
  },
  statusOf,
  retries: false,
};

describeFetchClient(A2A, matrix);

describeFetchClient(AG_UI, matrix);

describe('a run that is mapped into the protocol of A2A', () => {
  afterEach(releaseAll);

  it('is read by two clients, each with the ids of its own request', async () => {
    const proceed = new Gate();
    const run = Channel.from(async function* () {
      yield status('TASK_STATE_WORKING');
      yield artifact(HALVES[0]);
      await proceed.promise;
      yield artifact(HALVES[1], { append: true, lastChunk: true });
      yield status('TASK_STATE_COMPLETED');
    });
    let base = '';
    const server = await serve((app) => {
      A2A.addRoutes?.(app, () => base);
      app.post('/a2a', express.json(), ({ body: { id } }) => run.map((update) => replyTo(id, update)));
    });
    base = server.url('');
    const halves = [new Gate(), new Gate()];
    const read = (half: Gate) =>
      A2A.read(base, {
        signal: new AbortController().signal,
        maxRetries: 0,
        onText: (text) => text === HALVES[0] && half.open(),
      });

    const answers = halves.map(read);
    await Promise.all(halves.map(({ promise }) => promise));
    proceed.open();

    expect(await Promise.all(answers)).toEqual([TEXT, TEXT]);
  });

  it('reports an error to the client when the run fails in the middle', async () => {
    const half = new Gate();
    const run = Channel.from(async function* () {
      yield artifact(HALVES[0]);
      await half.promise;
      throw new Error('The model broke off.');
    });
    let base = '';
    const server = await serve((app) => {
      A2A.addRoutes?.(app, () => base);
      app.post('/a2a', express.json(), ({ body: { id } }) => run.map((update) => replyTo(id, update)));
    });
    base = server.url('');

    const reading = A2A.read(base, {
      signal: new AbortController().signal,
      maxRetries: 0,
      onText: () => half.open(),
    });

    await expect(reading).rejects.toThrow();
    await server.errorsHandled(1);
  });
});
