import { types } from 'node:util';
import { describe, wrongType } from '../errors';
import { refusePromise } from '../synchronous';

/**
 * Converts data that is not a string to text; `JSON.stringify` by default. Any other return value than a string is rejected
 * with `ERR_SSE_INVALID_DATA`.
 *
 * @example
 * const withBigInts: Serialize = (data) =>
 *   JSON.stringify(data, (_key, value) => (typeof value === 'bigint' ? String(value) : value));
 * app.use(sse({ serialize: withBigInts }));
 */
export type Serialize = (data: unknown) => string | undefined;

/**
 * The text of data: a string unchanged except for lone surrogates, anything else through `serialize`.
 *
 * @throws `TypeError` `ERR_SSE_INVALID_DATA` for data that cannot be sent
 */
export function dataText(data: unknown, serialize: Serialize): string {
  if (typeof data === 'string') return data.isWellFormed() ? data : data.toWellFormed();
  return serializeData(data, serialize);
}

/** @throws `TypeError` `ERR_SSE_INVALID_DATA` for data that cannot be sent */
export function serializeData(data: unknown, serialize: Serialize): string {
  checkSerializable(data);
  const text = serializeOrThrow(data, serialize);
  if (typeof text === 'string') return text;
  refusePromise(text, 'serialize', 'ERR_SSE_INVALID_DATA');
  if (serialize === JSON.stringify) {
    throw invalidData(
      data,
      "Yield a string, a value that JSON can express, or '' for an event without data.",
    );
  }
  throw wrongType(
    'ERR_SSE_INVALID_DATA',
    `Expected serialize to return a string for ${describe(data)}, got ${describe(text)}.`,
  );
}

/** Rejects what JSON would silently turn into a meaningless value. */
function checkSerializable(data: unknown): void {
  if (data === undefined) throw invalidData(data, "Yield '' for an event without data, or null.");
  // Most data is a plain object, for which the native checks below are not needed.
  if (typeof data !== 'object' || data === null || Object.getPrototypeOf(data) === Object.prototype) return;
  if (ArrayBuffer.isView(data) || types.isAnyArrayBuffer(data)) {
    throw invalidData(
      data,
      "An event stream is text: decode it, as with .setEncoding('utf8') or new TextDecoder(), or send it as base64.",
    );
  }
  if (types.isPromise(data)) {
    // Its outcome no longer matters, and must not become an unhandledRejection.
    data.catch(() => undefined);
    throw invalidData(data, 'Await it first.');
  }
  if (Symbol.asyncIterator in data) throw invalidData(data, 'Pass on what it yields with yield*.');
}

function serializeOrThrow(data: unknown, serialize: Serialize): string | undefined {
  try {
    return serialize(data);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n', 1)[0] : describe(cause);
    const error = invalidData(
      data,
      `It could not be serialized: ${reason}. Convert it, or pass a serialize option.`,
    );
    throw Object.assign(error, { cause });
  }
}

function invalidData(data: unknown, remedy: string): TypeError {
  return wrongType(
    'ERR_SSE_INVALID_DATA',
    `Expected a value that can be sent as data, got ${describe(data)}. ${remedy}`,
  );
}
