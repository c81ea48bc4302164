import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type HttpResponse, queueSocketOf } from './http';

type Listener = () => void;

/** Published just before the next response of the pipeline gets its socket. */
const RESPONSE_FINISHED = 'http.server.response.finish';

/** The responses that wait in the pipeline of one connection; one listener notifies all of them of its end. */
class Pipeline {
  static readonly #bySocket = new WeakMap<Socket, Pipeline>();
  /** The pipelines with a listener for a turn. */
  static readonly #awaited = new Set<Pipeline>();

  static of(socket: Socket): Pipeline {
    const known = Pipeline.known(socket);
    if (known !== undefined) return known;
    const created = new Pipeline(socket);
    Pipeline.#bySocket.set(socket, created);
    return created;
  }

  static known(socket: Socket): Pipeline | undefined {
    return Pipeline.#bySocket.get(socket);
  }

  static readonly #onResponseFinished = (message: unknown) => {
    const { socket } = message as { readonly socket: Socket };
    const pipeline = Pipeline.known(socket);
    if (pipeline !== undefined) process.nextTick(notifyTurn, pipeline);
  };

  readonly #socket: Socket;
  readonly #closeListeners = new Map<Listener, HttpResponse>();
  readonly #turnListeners = new Map<Listener, HttpResponse>();
  readonly #onClose = () => {
    for (const [listener, res] of this.#closeListeners) {
      if (queueSocketOf(res) !== undefined) listener();
    }
    for (const [listener, res] of this.#turnListeners) this.offTurn(res, listener);
  };

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  onClosed(res: HttpResponse, listener: Listener): void {
    this.#listen();
    this.#closeListeners.set(listener, res);
  }

  offClosed(listener: Listener): void {
    if (this.#closeListeners.delete(listener)) this.#stopListening();
  }

  /** Node's 'socket' event is immediate, but not documented for responses; the diagnostics channel is. */
  onTurn(res: HttpResponse, listener: Listener): void {
    this.#listen();
    if (Pipeline.#awaited.size === 0) subscribe(RESPONSE_FINISHED, Pipeline.#onResponseFinished);
    Pipeline.#awaited.add(this);
    this.#turnListeners.set(listener, res);
    res.on('socket', listener);
  }

  offTurn(res: HttpResponse, listener: Listener): void {
    res.off('socket', listener);
    if (!this.#turnListeners.delete(listener)) return;
    this.#stopListening();
    if (this.#turnListeners.size > 0) return;
    Pipeline.#awaited.delete(this);
    if (Pipeline.#awaited.size === 0) unsubscribe(RESPONSE_FINISHED, Pipeline.#onResponseFinished);
  }

  notifyTurn(): void {
    for (const [listener, res] of this.#turnListeners) {
      if (res.socket !== null) listener();
    }
  }

  get #isUnused(): boolean {
    return this.#closeListeners.size + this.#turnListeners.size === 0;
  }

  #listen(): void {
    if (this.#isUnused) this.#socket.on('close', this.#onClose);
  }

  #stopListening(): void {
    if (this.#isUnused) this.#socket.off('close', this.#onClose);
  }
}

function notifyTurn(pipeline: Pipeline): void {
  pipeline.notifyTurn();
}

/**
 * Calls `listener` once the response has closed, also if it never left the pipeline: Node does not notify a response without
 * a socket when the connection closes (measured).
 */
export function onClosed(res: HttpResponse, listener: Listener): void {
  res.on('close', listener);
  const socket = queueSocketOf(res);
  if (socket !== undefined) Pipeline.of(socket).onClosed(res, listener);
}

/** Removes a listener of {@link onClosed}. A closure for this would cost each idle stream 110 bytes. */
export function offClosed(res: HttpResponse, listener: Listener): void {
  res.off('close', listener);
  pipelineOf(res)?.offClosed(listener);
}

/** Calls `listener` when a response that waits in a pipeline gets its socket; never if the connection closes before. */
export function onTurn(res: HttpResponse, listener: Listener): void {
  const socket = queueSocketOf(res);
  if (socket !== undefined && !socket.destroyed) Pipeline.of(socket).onTurn(res, listener);
}

/** Removes a listener of {@link onTurn}. */
export function offTurn(res: HttpResponse, listener: Listener): void {
  pipelineOf(res)?.offTurn(res, listener);
}

/**
 * Destroys a response and its connection, also from within a pipeline: since 24.16 and 26.1, Node leaves the connection of
 * such a response open, and the requests after it unanswered.
 */
export function destroy(res: HttpResponse): void {
  res.destroy();
  const destroyConnection = () => {
    offTurn(res, destroyConnection);
    res.socket?.destroy();
  };
  onTurn(res, destroyConnection);
}

function pipelineOf(res: HttpResponse): Pipeline | undefined {
  return res instanceof ServerResponse && res.req !== undefined ? Pipeline.known(res.req.socket) : undefined;
}
