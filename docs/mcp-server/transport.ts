import { randomUUID } from 'node:crypto';
import type { Transport, TransportSendOptions } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  isJSONRPCErrorResponse,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type RequestId,
} from '@modelcontextprotocol/sdk/types.js';
import { Channel } from 'express-yield';

/** An event without data, which gives the client an id to resume from; then the messages. */
type Message = JSONRPCMessage | '';

/** How long a client can resume an answer that is complete. */
const RETENTION_MS = 60_000;

/** One session of the streamable HTTP transport: a channel for each request, and one for everything else. */
export class SessionTransport implements Transport {
  readonly sessionId = randomUUID();
  onmessage?: Transport['onmessage'];
  onclose?: Transport['onclose'];
  onerror?: Transport['onerror'];
  /** The messages that belong to no request; `GET` streams them. */
  readonly #others = new Channel<Message>({ replay: true });
  readonly #answers = new Map<RequestId, Channel<Message>>();
  /** The channel of each event, so that a client resumes the stream that it has lost, and no other. */
  readonly #channels = new Map<string, Channel<Message>>();

  async start(): Promise<void> {
    await this.#publish(this.#others, '');
  }

  /** Takes a message of the client. @returns the channel with the answer, if the message is a request */
  async receive(message: JSONRPCMessage): Promise<Channel<Message> | undefined> {
    const answer = isJSONRPCRequest(message) ? await this.#openAnswer(message.id) : undefined;
    this.onmessage?.(message);
    return answer;
  }

  /** The stream for a `GET`: the one that the client was reading, or the messages that belong to no request. */
  resume(lastEventId: string): Channel<Message> {
    return this.#channels.get(lastEventId) ?? this.#others;
  }

  /** Called by the MCP server. */
  async send(message: JSONRPCMessage, { relatedRequestId }: TransportSendOptions = {}): Promise<void> {
    const isAnswer = isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message);
    const requestId = isAnswer ? message.id : relatedRequestId;
    const answer = requestId === undefined ? undefined : this.#answers.get(requestId);
    await this.#publish(answer ?? this.#others, message);
    if (isAnswer && answer !== undefined) await this.#endAnswer(message.id, answer);
  }

  async close(): Promise<void> {
    const channels = [this.#others, ...this.#answers.values()];
    await Promise.all(channels.map((channel) => channel.close()));
    this.onclose?.();
  }

  async #openAnswer(id: RequestId): Promise<Channel<Message>> {
    const answer = new Channel<Message>({ replay: true });
    this.#answers.set(id, answer);
    await this.#publish(answer, '');
    return answer;
  }

  async #endAnswer(id: RequestId | undefined, answer: Channel<Message>): Promise<void> {
    if (id !== undefined) this.#answers.delete(id);
    await answer.end();
    const forget = () => {
      for (const [eventId, channel] of this.#channels) if (channel === answer) this.#channels.delete(eventId);
    };
    setTimeout(forget, RETENTION_MS).unref();
  }

  async #publish(channel: Channel<Message>, message: Message): Promise<void> {
    this.#channels.set(await channel.publish(message), channel);
  }
}
