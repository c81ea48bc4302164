import { event } from '../../../../lib';
import { type Answer, HALVES } from './fetch-client';

/** The usage that an answer reports. */
export const USAGE = { input: 11, output: 4 } as const;

/** The call of a tool that an answer contains. */
export const TOOL_CALL = { id: 'call_1', name: 'weather', halves: ['{"city":', '"Zürich"}'] } as const;

export const TOOL = {
  name: TOOL_CALL.name,
  description: 'The weather of a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
} as const;

/** A chunk of OpenAI's chat completions. */
function chatChunk(delta: unknown, finishReason: string | null = null) {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'small',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
  };
}

const CHAT_USAGE = {
  ...chatChunk({}),
  choices: [],
  usage: {
    prompt_tokens: USAGE.input,
    completion_tokens: USAGE.output,
    total_tokens: USAGE.input + USAGE.output,
  },
};

/** An answer of OpenAI's chat completions, as `POST /v1/chat/completions` sends it. */
export function chatCompletion(): Answer {
  return {
    first: [chatChunk({ role: 'assistant', content: '' }), chatChunk({ content: HALVES[0] })],
    rest: [chatChunk({ content: HALVES[1] }), chatChunk({}, 'stop'), CHAT_USAGE],
    last: '[DONE]',
  };
}

/** The same with the call of a tool. */
export function chatToolCall(): Answer {
  const { id, name, halves } = TOOL_CALL;
  const call = (rest: object) => chatChunk({ tool_calls: [{ index: 0, ...rest }] });
  return {
    first: [
      chatChunk({ role: 'assistant', content: null }),
      call({ id, type: 'function', function: { name, arguments: halves[0] } }),
    ],
    rest: [call({ function: { arguments: halves[1] } }), chatChunk({}, 'tool_calls'), CHAT_USAGE],
    last: '[DONE]',
  };
}

/** An event's data with its type. */
interface Typed {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Numbers OpenAI's response events, and sends each under its own type. */
function responseEvents(...events: readonly Typed[]): unknown[] {
  return events.map((each, index) => event(each.type, { ...each, sequence_number: index }));
}

function response(status: string, output: readonly unknown[]) {
  return {
    id: 'resp_1',
    object: 'response',
    created_at: 1_700_000_000,
    status,
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model: 'small',
    output,
    parallel_tool_calls: true,
    temperature: 1,
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    usage:
      status === 'completed'
        ? {
            input_tokens: USAGE.input,
            input_tokens_details: { cached_tokens: 0 },
            output_tokens: USAGE.output,
            output_tokens_details: { reasoning_tokens: 0 },
            total_tokens: USAGE.input + USAGE.output,
          }
        : null,
  };
}

/** An answer of OpenAI's Responses API, as `POST /v1/responses` sends it. It has no `[DONE]`. */
export function responsesAnswer(): Answer {
  const part = (text: string) => ({ type: 'output_text', text, annotations: [] });
  const message = (status: string, content: readonly unknown[]) => ({
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    status,
    content,
  });
  const place = { item_id: 'msg_1', output_index: 0, content_index: 0 };
  const text = HALVES.join('');
  const events = responseEvents(
    { type: 'response.created', response: response('in_progress', []) },
    { type: 'response.output_item.added', output_index: 0, item: message('in_progress', []) },
    { type: 'response.content_part.added', ...place, part: part('') },
    { type: 'response.output_text.delta', ...place, delta: HALVES[0], logprobs: [] },
    { type: 'response.output_text.delta', ...place, delta: HALVES[1], logprobs: [] },
    { type: 'response.output_text.done', ...place, text, logprobs: [] },
    { type: 'response.content_part.done', ...place, part: part(text) },
    {
      type: 'response.output_item.done',
      output_index: 0,
      item: message('completed', [part(text)]),
    },
    {
      type: 'response.completed',
      response: response('completed', [message('completed', [part(text)])]),
    },
  );
  return { first: events.slice(0, 4), rest: events.slice(4) };
}

/** The same with the call of a tool. */
export function responsesToolCall(): Answer {
  const { id, name, halves } = TOOL_CALL;
  const item = (status: string, argumentsText: string) => ({
    id: 'fc_1',
    type: 'function_call',
    call_id: id,
    name,
    arguments: argumentsText,
    status,
  });
  const whole = halves.join('');
  const place = { item_id: 'fc_1', output_index: 0 };
  const done = item('completed', whole);
  const events = responseEvents(
    { type: 'response.created', response: response('in_progress', []) },
    { type: 'response.output_item.added', output_index: 0, item: item('in_progress', '') },
    { type: 'response.function_call_arguments.delta', ...place, delta: halves[0] },
    { type: 'response.function_call_arguments.delta', ...place, delta: halves[1] },
    { type: 'response.function_call_arguments.done', ...place, name, arguments: whole },
    { type: 'response.output_item.done', output_index: 0, item: done },
    { type: 'response.completed', response: response('completed', [done]) },
  );
  return { first: events.slice(0, 3), rest: events.slice(3) };
}

function anthropicEvent(data: Typed): unknown {
  return event(data.type, data);
}

const MESSAGE_START = {
  type: 'message_start',
  message: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'small',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: USAGE.input, output_tokens: 1 },
  },
};

function anthropicEnd(stopReason: string): Typed[] {
  const delta = { stop_reason: stopReason, stop_sequence: null };
  return [
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta, usage: { output_tokens: USAGE.output } },
  ];
}

/** An answer of Anthropic's Messages API, as `POST /v1/messages` sends it; its last event is the returned one. */
export function anthropicMessage(): Answer {
  const delta = (text: string) => ({
    type: 'content_block_delta',
    index: 0,
    delta: { type: 'text_delta', text },
  });
  const block = { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } };
  return {
    first: [MESSAGE_START, block, { type: 'ping' }, delta(HALVES[0])].map(anthropicEvent),
    rest: [delta(HALVES[1]), ...anthropicEnd('end_turn')].map(anthropicEvent),
    last: event('message_stop', { type: 'message_stop' }),
  };
}

/** The same with the call of a tool. */
export function anthropicToolUse(): Answer {
  const { id, name, halves } = TOOL_CALL;
  const delta = (json: string) => ({
    type: 'content_block_delta',
    index: 0,
    delta: { type: 'input_json_delta', partial_json: json },
  });
  const content = { type: 'tool_use', id, name, input: {} };
  return {
    first: [
      MESSAGE_START,
      { type: 'content_block_start', index: 0, content_block: content },
      delta(halves[0]),
    ].map(anthropicEvent),
    rest: [delta(halves[1]), ...anthropicEnd('tool_use')].map(anthropicEvent),
    last: event('message_stop', { type: 'message_stop' }),
  };
}
