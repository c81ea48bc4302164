import { type InspectOptions, inspect } from 'node:util';
import { given } from './given';

/**
 * Every `code` of an {@link SseError}.
 *
 * Reading from a channel or publishing to it throws `CHANNEL_CLOSED`, `CHANNEL_FAILED`, `RUN_LOST` and `OVERFLOW`, and its log
 * throws `LOG_UNAVAILABLE`. The others are passed to `next`, and so to your error handler.
 *
 * @example
 * const harmless: ReadonlySet<SseErrorCode> = new Set(['ERR_SSE_FULL', 'ERR_SSE_NOT_ACCEPTABLE']);
 */
export type SseErrorCode =
  | 'ERR_SSE_CHANNEL_CLOSED'
  | 'ERR_SSE_CHANNEL_FAILED'
  | 'ERR_SSE_EXPRESS_VERSION'
  | 'ERR_SSE_CLIENT_LEFT'
  | 'ERR_SSE_CLOSING'
  | 'ERR_SSE_EXPIRED'
  | 'ERR_SSE_FULL'
  | 'ERR_SSE_HEAD_SENT'
  | 'ERR_SSE_LOG_UNAVAILABLE'
  | 'ERR_SSE_NOT_ACCEPTABLE'
  | 'ERR_SSE_OVERFLOW'
  | 'ERR_SSE_RUN_LOST'
  | 'ERR_SSE_STALLED';

/** Every `code` of the `TypeError`s and `RangeError`s that report a caller's mistake. */
export type MistakeCode =
  | 'ERR_SSE_INVALID_DATA'
  | 'ERR_SSE_INVALID_EVENT'
  | 'ERR_SSE_INVALID_HANDLER'
  | 'ERR_SSE_INVALID_OPTION'
  | 'ERR_SSE_INVALID_FILTER'
  | 'ERR_SSE_INVALID_MAP'
  | 'ERR_SSE_INVALID_SOURCE';

/**
 * The details of an {@link SseError}, in addition to its code and message.
 *
 * Your own log should set `cause`. It may set `status`, which becomes the status of the response if a handler calls
 * `publish()` and passes the error on.
 *
 * @example
 * const details: SseErrorDetails = { status: 503, cause: new Error('connect ECONNREFUSED') };
 * const error = new SseError('ERR_SSE_LOG_UNAVAILABLE', 'The log cannot be reached.', details);
 */
export interface SseErrorDetails {
  /**
   * The status code of the response, such as `503`; Express's own error handler sends it.
   * @default undefined
   */
  readonly status?: number | undefined;
  /**
   * Response headers to send with the status, such as `Retry-After`.
   * @default undefined
   */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /**
   * The error that caused this one.
   * @default undefined
   */
  readonly cause?: unknown;
}

/**
 * Marks the errors of every copy of this package in the process. It stands on the prototype, so that no copy of an error's
 * own properties has it. The number counts the contract: a later one may add properties, and keeps those of an earlier one.
 */
const BRAND = Symbol.for('express-yield.error');

/**
 * A run-time failure, as opposed to a programming error: the server is full, the client does not accept event streams, the
 * version of Express is too old, a channel is closed, or its log is unavailable.
 *
 * Programming errors are `TypeError`s and `RangeError`s instead, with a `code` of the same form. `status`, `statusCode`
 * and `headers` are set on errors that have an HTTP status; the error handlers of Express and connect respond with them.
 *
 * @example
 * app.use((err: unknown, req: Request, res: Response, next: NextFunction) => {
 *   if (err instanceof SseError && err.code === 'ERR_SSE_FULL') console.warn('full:', sse.size);
 *   next(err);
 * });
 */
export class SseError extends Error {
  /** @internal */
  get [BRAND](): number {
    return 1;
  }

  /** @internal By the brand, so that `instanceof` also recognises the errors of another copy of this package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: `this` is the class on the right of instanceof, which may be a subclass
    return this === SseError ? isSseError(value) : Function.prototype[Symbol.hasInstance].call(this, value);
  }

  // A field, because an assignment would throw if the app has frozen `Error.prototype`.
  /** `'SseError'`. */
  override name = 'SseError';
  /** Identifies the failure. It is stable across versions: test the code, never the message. */
  readonly code: SseErrorCode;
  /** The status code of the response, such as `503`; `undefined` for an error without an HTTP status. */
  readonly status: number | undefined;
  /** The same as `status`, under the name that connect reads. */
  readonly statusCode: number | undefined;
  /** Response headers to send with the status, such as `Retry-After`; `undefined` if there are none. */
  readonly headers: Readonly<Record<string, string>> | undefined;

  /**
   * Makes an error for your own log, whose `append` rejects with `ERR_SSE_LOG_UNAVAILABLE` or `ERR_SSE_CHANNEL_CLOSED`. The
   * message stays unchanged; only those of the package itself end with a pointer to the documentation.
   */
  constructor(code: SseErrorCode, message: string, details: SseErrorDetails = {}) {
    const cause = given(details, 'cause');
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = given(details, 'status');
    this.statusCode = this.status;
    this.headers = given(details, 'headers');
  }
}

/** Whether `error` is an {@link SseError} of any copy of this package in the process. Never throws. */
export function isSseError(error: unknown): error is SseError {
  return typeof error === 'object' && typeof propertyOf(error, BRAND) === 'number';
}

/** The error with which every log rejects an append after its last entry. */
export function endedError(): SseError {
  return sseError('ERR_SSE_CHANNEL_CLOSED', 'Cannot publish: the channel has ENDED. Make a new channel.');
}

/** An error of the package itself, with a pointer. A log that is not ours makes its errors with the constructor, in its own words. */
export function sseError(code: SseErrorCode, message: string, details?: SseErrorDetails): SseError {
  return new SseError(code, withPointer(code, message), details);
}

/** A `TypeError` for a value of the wrong type. */
export function wrongType(code: MistakeCode, message: string): TypeError {
  return Object.assign(new TypeError(withPointer(code, message)), { code });
}

/** A `RangeError` for a value of the right type that is out of range. */
export function outOfRange(code: MistakeCode, message: string): RangeError {
  return Object.assign(new RangeError(withPointer(code, message)), { code });
}

/** Reports an error that cannot be passed to `next` or thrown, as a process warning. Never throws. */
export function warn(error: unknown): void {
  emitWarning('SSE_UNHANDLED_ERROR', inspected(error));
}

/**
 * A property of a thrown value; `undefined` for a value without properties, and if reading it throws. Anything may be
 * thrown: an error whose getters throw, a revoked Proxy, a symbol, `null`.
 */
export function propertyOf(value: unknown, name: PropertyKey): unknown {
  try {
    return (value as Readonly<Record<PropertyKey, unknown>> | null | undefined)?.[name];
  } catch {
    return undefined;
  }
}

/** The message of an error; of any other thrown value, or without a message, what {@link describe} shows. */
export function messageOf(error: unknown): string {
  const message = propertyOf(error, 'message');
  return typeof message === 'string' && message !== '' ? message : describe(error);
}

/** A value for an error message, with its type and limited in length: `0 (number)`, `'soon' (string)`, `null`. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  // Only the first line: an error is shown with its stack.
  const [shown = ''] = inspected(value, ON_ONE_LINE).split('\n', 1);
  return `${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown} (${typeof value})`;
}

const ON_ONE_LINE = { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 60 } as const;

/** The value as Node prints it, with its stack if it is an error. Never throws. */
export function inspected(value: unknown, options?: InspectOptions): string {
  try {
    const shown = inspect(value, options);
    // From version 24 on, Node shows no more of an error whose name throws.
    return shown === '' || shown === '[object Error]' ? outlineOf(value) : shown;
  } catch {
    // Its stack, its inspect function or another property throws.
    return outlineOf(value);
  }
}

/** What can be read of a value that cannot be inspected. */
function outlineOf(value: unknown): string {
  const [name, message] = ['name', 'message'].map((property) => propertyOf(value, property));
  if (typeof message === 'string') return `[${typeof name === 'string' ? name : 'Error'}: ${message}]`;
  try {
    return Object.prototype.toString.call(value);
  } catch {
    return `[unreadable ${typeof value}]`;
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

// Those of this package, in any message: an error may be reported within another one.
const POINTERS = /\s?See docs\/error-codes\.md#\w+/g;

/** A message that ends with its only pointer, to the section of its code in the documentation. */
export function withPointer(code: SseErrorCode | MistakeCode | WarningCode, message: string): string {
  const text = message.replace(POINTERS, '');
  return `${text}${text.includes('\n') ? '\n' : ' '}See docs/error-codes.md#${code.toLowerCase()}`;
}
