import { types } from 'node:util';
import { describe, messageOf, wrongType } from '../errors';
import { refusePromise } from '../synchronous';

/**
 * Converts data that is not a string to text; `JSON.stringify` by default. It must return a string; any other value causes an
 * error `ERR_SSE_INVALID_DATA`.
 *
 * @example
 * const withBigInts: Serialize = (data) =>
 *   JSON.stringify(data, (_key, value) => (typeof value === 'bigint' ? String(value) : value));
 * app.use(sse({ serialize: withBigInts }));
 */
export type Serialize = (data: unknown) => string | undefined;

/**
 * `JSON.stringify` as it was when this package was loaded. An app may replace it before that, for example to sort keys; a
 * later replacement changes no stream.
 */
export const defaultSerialize: Serialize = JSON.stringify;

/**
 * {@link defaultSerialize} if it is the engine's own, which escapes every control character and lone surrogate (ECMA-262
 * QuoteJSONString): its text is a single line. To search the text of another one costs 15 % of encoding 100 bytes (measured).
 */
export const oneLineSerialize: Serialize | undefined = isEngineOwn(JSON.stringify)
  ? defaultSerialize
  : undefined;

/** A replacement shows its source, or, as a bound function or a Proxy, no name. */
function isEngineOwn(stringify: Serialize): boolean {
  const source = Function.prototype.toString.call(stringify);
  const isNative = /^function stringify\(\) \{\s*\[native code\]\s*\}$/.test(source);
  return isNative && stringify({ lines: ['\r\n'] }) === '{"lines":["\\r\\n"]}';
}

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
  checkSerializable(data, serialize);
  const text = serializeOrThrow(data, serialize);
  if (typeof text !== 'string') {
    refusePromise(text, 'serialize', 'ERR_SSE_INVALID_DATA');
    throw notTextError(data, text, serialize);
  }
  if (text.length === 2 && text === '{}' && serialize === defaultSerialize) checkEmpty(data);
  return text;
}

/** Rejects what JSON would silently turn into a meaningless value. */
function checkSerializable(data: unknown, serialize: Serialize): void {
  if (data === undefined) throw invalidData(data, "Yield '' for an event without data, or null.");
  // Most data is a plain object, for which the checks below are not needed.
  if (typeof data !== 'object' || data === null || Object.getPrototypeOf(data) === Object.prototype) return;
  if (ArrayBuffer.isView(data) || types.isAnyArrayBuffer(data)) {
    throw invalidData(
      data,
      "An event stream is text: decode it, as with .setEncoding('utf8') or new TextDecoder(), or send it as base64.",
    );
  }
  if (types.isPromise(data)) {
    // The promise is not used any more, and must not cause an unhandledRejection.
    data.catch(() => undefined);
    throw invalidData(data, 'Await it first.');
  }
  if (Symbol.asyncIterator in data) throw invalidData(data, 'Pass on what it yields with yield*.');
  if (serialize === defaultSerialize && !hasMethod(data, 'toJSON')) checkJson(data);
}

/** By the name of its kind, which is the same in every realm: what JSON drops of it, and the remedy. */
const LOST_IN_JSON: ReadonlyMap<string, string> = new Map([
  ['Error', 'JSON drops its message. Yield { message: error.message }, or throw it to end the stream.'],
  [
    'DOMException',
    'JSON drops its message. Yield { message: error.message }, or throw it to end the stream.',
  ],
  ['Map', 'JSON drops its entries. Yield Object.fromEntries(map), or [...map].'],
  ['Set', 'JSON drops its values. Yield [...set].'],
  ['WeakMap', 'Its entries cannot be listed. Yield a plain object of them.'],
  ['WeakSet', 'Its values cannot be listed. Yield an array of them.'],
  ['WeakRef', 'JSON drops its target. Yield ref.deref().'],
  ['RegExp', 'JSON drops its pattern. Yield String(regexp).'],
  ['Request', 'JSON drops its body. Yield await request.json(), or await request.text().'],
  ['Response', 'JSON drops its body. Yield await response.json(), or await response.text().'],
]);

/** Nested values are not checked: a search costs as much as the serialization. */
function checkJson(data: object): void {
  if (types.isNativeError(data)) throw invalidData(data, LOST_IN_JSON.get('Error') ?? '');
  const remedy = LOST_IN_JSON.get(kindOf(data));
  if (remedy !== undefined) throw invalidData(data, remedy);
  if (hasMethod(data, 'then')) throw invalidData(data, 'Await it first.');
}

/** An object of which JSON has kept nothing: one without properties, or one that has its content elsewhere. */
function checkEmpty(data: unknown): void {
  if (typeof data !== 'object' || data === null || hasMethod(data, 'toJSON')) return;
  if (hasMethod(data, 'then')) throw invalidData(data, 'Await it first.');
  if (Symbol.iterator in data) throw invalidData(data, 'JSON drops its values. Yield an array: [...values].');
  if (kindOf(data) === 'Object') return;
  throw invalidData(data, 'JSON makes {} of it. Yield a plain object, or pass a serialize option.');
}

/** `'Map'` for a Map of any realm, `'Object'` for a plain object and for an instance of most classes. */
function kindOf(data: object): string {
  return Object.prototype.toString.call(data).slice('[object '.length, -1);
}

function hasMethod(data: object, name: string): boolean {
  return typeof (data as Readonly<Record<string, unknown>>)[name] === 'function';
}

function notTextError(data: unknown, text: unknown, serialize: Serialize): TypeError {
  return serialize === defaultSerialize
    ? invalidData(data, "Yield a string, a value that JSON can express, or '' for an event without data.")
    : wrongType(
        'ERR_SSE_INVALID_DATA',
        `Expected serialize to return a string for ${describe(data)}, got ${describe(text)}.`,
      );
}

function serializeOrThrow(data: unknown, serialize: Serialize): string | undefined {
  try {
    return serialize(data);
  } catch (cause) {
    const [reason] = messageOf(cause).split('\n', 1);
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
