import { randomUUID } from 'node:crypto';
import type { Transport, TransportSendOptions } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  isJSONRPCErrorResponse,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type RequestId,
} from '@modelcontextprotocol/sdk/types.js';
import { Channel, type EventLog, memoryLog } from 'express-yield';

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
  readonly #logs: (key: string) => EventLog;
  /** The messages that belong to no request; `GET` streams them. */
  readonly #others: Channel<Message>;
  readonly #answers = new Map<RequestId, Channel<Message>>();
  /** All channels that a client can resume. */
  readonly #channels = new Set<Channel<Message>>();

  /** @param logs makes the log of each channel. On Redis, its ids must be unique: `(key) => logs(key, { uniqueIds: true })` */
  constructor(logs: (key: string) => EventLog = () => memoryLog()) {
    this.#logs = logs;
    this.#others = this.#open('others');
  }

  async start(): Promise<void> {
    await this.#others.publish('');
  }

  /** Takes a message of the client. @returns the channel with the answer, if the message is a request */
  async receive(message: JSONRPCMessage): Promise<Channel<Message> | undefined> {
    const answer = isJSONRPCRequest(message) ? await this.#openAnswer(message.id) : undefined;
    this.onmessage?.(message);
    return answer;
  }

  /**
   * The stream for a `GET`: the messages that belong to no request, or the stream that the client was reading.
   *
   * @throws (rejects) an error with the status 400 if no stream has the id: another one must not be replayed for it
   */
  async resume(lastEventId: string): Promise<Channel<Message>> {
    if (lastEventId === '') return this.#others;
    for (const channel of this.#channels) if (await channel.canResume(lastEventId)) return channel;
    throw Object.assign(new Error('There is no stream to resume with this event id.'), { status: 400 });
  }

  /** Called by the MCP server. */
  async send(message: JSONRPCMessage, { relatedRequestId }: TransportSendOptions = {}): Promise<void> {
    const isAnswer = isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message);
    const requestId = isAnswer ? message.id : relatedRequestId;
    const answer = requestId === undefined ? undefined : this.#answers.get(requestId);
    await (answer ?? this.#others).publish(message);
    if (isAnswer && answer !== undefined) await this.#endAnswer(message.id, answer);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#channels].map((channel) => channel.close()));
    this.onclose?.();
  }

  async #openAnswer(id: RequestId): Promise<Channel<Message>> {
    const answer = this.#open(`${typeof id}:${id}`);
    this.#answers.set(id, answer);
    await answer.publish('');
    return answer;
  }

  async #endAnswer(id: RequestId | undefined, answer: Channel<Message>): Promise<void> {
    if (id !== undefined) this.#answers.delete(id);
    await answer.end();
    setTimeout(() => this.#channels.delete(answer), RETENTION_MS).unref();
  }

  #open(stream: string): Channel<Message> {
    const channel = new Channel<Message>({ log: this.#logs(`${this.sessionId}:${stream}`), replay: true });
    this.#channels.add(channel);
    return channel;
  }
}
