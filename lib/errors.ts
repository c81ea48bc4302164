import { inspect } from 'node:util';

/**
 * Every `code` an {@link SseError} can carry. `CHANNEL_CLOSED`, `CHANNEL_FAILED` and `OVERFLOW` come from reading or
 * publishing to a channel, `LOG_UNAVAILABLE` from its log, the others through `next` to an error handler.
 *
 * @example
 * const harmless: ReadonlySet<SseErrorCode> = new Set(['ERR_SSE_FULL', 'ERR_SSE_NOT_ACCEPTABLE']);
 */
export type SseErrorCode =
  | 'ERR_SSE_CHANNEL_CLOSED'
  | 'ERR_SSE_CHANNEL_FAILED'
  | 'ERR_SSE_EXPRESS_VERSION'
  | 'ERR_SSE_FULL'
  | 'ERR_SSE_LOG_UNAVAILABLE'
  | 'ERR_SSE_NOT_ACCEPTABLE'
  | 'ERR_SSE_OVERFLOW';

/** Every `code` on the `TypeError`s and `RangeError`s that answer a caller's mistake. */
export type MistakeCode =
  | 'ERR_SSE_INVALID_DATA'
  | 'ERR_SSE_INVALID_EVENT'
  | 'ERR_SSE_INVALID_HANDLER'
  | 'ERR_SSE_INVALID_OPTION'
  | 'ERR_SSE_INVALID_FILTER'
  | 'ERR_SSE_INVALID_SOURCE';

/**
 * What an {@link SseError} carries besides its code and its message. A log of your own gives its errors their `cause`, and
 * a `status` if that shall answer a request whose handler has published.
 *
 * @example
 * const details: SseErrorDetails = { status: 503, cause: new Error('connect ECONNREFUSED') };
 * const error = new SseError('ERR_SSE_LOG_UNAVAILABLE', 'The log cannot be reached.', details);
 */
export interface SseErrorDetails {
  /** The response's status code, such as `503`; Express's own error handler answers with it. */
  readonly status?: number;
  /** Response headers to send with it. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The error behind it. */
  readonly cause?: unknown;
}

/**
 * Something went wrong at run time that is nobody's typing mistake: the server is full, the client wants another format,
 * this Express is too old, a channel is closed or its log out of reach. Mistakes in a call are `TypeError`s and
 * `RangeError`s instead, with a `code` of the same form.
 *
 * `status`, `statusCode` and `headers` are there when the error has a place in HTTP; Express's and connect's
 * own error handlers answer with them.
 *
 * @example
 * app.use((err: unknown, req: Request, res: Response, next: NextFunction) => {
 *   if (err instanceof SseError && err.code === 'ERR_SSE_FULL') console.warn('full:', sse.size);
 *   next(err);
 * });
 */
export class SseError extends Error {
  /** Stable across versions; test this, never the message. */
  readonly code: SseErrorCode;
  /** The response's status code, such as `503`; `undefined` for an error that has no place in HTTP. */
  readonly status: number | undefined;
  /** The same as `status`, by the name that connect looks for. */
  readonly statusCode: number | undefined;
  /** Response headers that go with the status, such as `Retry-After`. */
  readonly headers: Readonly<Record<string, string>> | undefined;

  /** For a log of your own, whose `append` rejects with `ERR_SSE_LOG_UNAVAILABLE` or `ERR_SSE_CHANNEL_CLOSED`. */
  constructor(code: SseErrorCode, message: string, { cause, ...answer }: SseErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SseError';
    this.code = code;
    this.status = answer.status;
    this.statusCode = answer.status;
    this.headers = answer.headers;
  }
}

/** The error of every log for an append after its last entry. */
export function endedError(): SseError {
  return new SseError('ERR_SSE_CHANNEL_CLOSED', 'Cannot publish: the channel has ENDED. Make a new channel.');
}

/** A `TypeError` for a value of the wrong kind. */
export function wrongType(code: MistakeCode, message: string): TypeError {
  return Object.assign(new TypeError(message), { code });
}

/** A `RangeError` for a value of the right kind that is out of bounds. */
export function outOfRange(code: MistakeCode, message: string): RangeError {
  return Object.assign(new RangeError(message), { code });
}

/** Tells the process of an error that nobody else can be told of. */
export function warn(error: unknown): void {
  emitWarning('SSE_UNHANDLED_ERROR', inspectSafely(error));
}

/** How error messages show a value: `0 (number)`, `'soon' (string)`, `null`; bounded in length. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  // One line: an error would bring its stack.
  const [shown = ''] = inspected(value).split('\n', 1);
  return `${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown} (${typeof value})`;
}

function inspected(value: unknown): string {
  try {
    return inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 60 });
  } catch {
    // Its own inspect function has thrown.
    return Object.prototype.toString.call(value);
  }
}

/** Every `code` of a process warning. */
export type WarningCode =
  | 'SSE_ERROR_HANDLER_FAILED'
  | 'SSE_GENERATOR_OUTLIVES_CLIENT'
  | 'SSE_NEXT_CALLED'
  | 'SSE_NOT_ANSWERED'
  | 'SSE_NOT_CALLED'
  | 'SSE_NOT_STREAMABLE'
  | 'SSE_NOT_STREAMED'
  | 'SSE_REDIS_LOST'
  | 'SSE_UNHANDLED_ERROR';

/**
 * Emits a process warning of the type `SseWarning`. Its message ends with a pointer to the documentation of its code.
 *
 * @param detail printed below the message
 */
export function emitWarning(code: WarningCode, message: string, detail?: string): void {
  const options = { type: 'SseWarning', code };
  process.emitWarning(withPointer(code, message), detail === undefined ? options : { ...options, detail });
}

/** The value as Node prints it, with its stack if it is an error. Never throws. */
export function inspectSafely(value: unknown): string {
  try {
    return inspect(value);
  } catch {
    return inspected(value);
  }
}

/** A message that ends with a pointer to the section of its code. */
export function withPointer(code: string, message: string): string {
  return `${message}${message.includes('\n') ? '\n' : ' '}See docs/error-codes.md#${code.toLowerCase()}`;
}
