import { describe, wrongType } from './errors';

/** A source that is being read: an iterator whose `return` also ends a pending `next()`, if the source allows that. */
export type OpenSource = AsyncIterator<unknown, unknown, undefined>;

type Method = (...args: never[]) => unknown;

interface NodeReadable extends AsyncIterable<unknown> {
  destroy(): unknown;
  on(event: 'error', listener: () => void): unknown;
}

/** After this number of values from a `finally`, `closeSource` returns: the block probably never ends. */
const MAX_CLEANUP_YIELDS = 1_000;

/**
 * Whether `value` is an async generator, which means that it has all four methods of one. A Node stream, a readline
 * interface or a database cursor has only some of them; a handler may return one that is not meant to be streamed.
 */
export function isAsyncGenerator(value: unknown): value is AsyncGenerator<unknown, unknown, undefined> {
  return (
    has(value, Symbol.asyncIterator) && has(value, 'next') && has(value, 'return') && has(value, 'throw')
  );
}

/**
 * Prepares the value that a handler returned for reading: an async or sync iterable, a Node Readable or a web
 * ReadableStream. It does not start an async generator.
 *
 * @throws `TypeError` `ERR_SSE_INVALID_SOURCE` that names the value and the remedy
 */
export function openSource(value: unknown): OpenSource {
  if (isAsyncGenerator(value)) return claimed(value);
  if (isWebStream(value)) return readWebStream(claimed(value));
  if (isNodeReadable(value)) return readNodeStream(claimed(value));
  if (has(value, Symbol.asyncIterator)) return iteratorOf(value as unknown as AsyncIterable<unknown>);
  if (ArrayBuffer.isView(value)) throw sourceError(value, 'Binary data is not a list of events.');
  if (has(value, Symbol.iterator)) return fromSync(fresh(value as unknown as Iterable<unknown>));
  throw sourceError(value);
}

/**
 * Closes a source before its end. Its `finally` blocks run to completion, and the values that they yield are discarded.
 *
 * After a `yield` inside a `finally`, `next()` continues the block, whereas a second `return()` leaves it and skips the
 * rest (measured). For the same reason, the rest of a `finally` is lost if the generator enters it before this `return()`
 * takes effect; only the blocks around it run.
 *
 * @returns resolves when the source has ended; never, if the source awaits a promise that never settles
 */
export async function closeSource(source: OpenSource): Promise<void> {
  let step = await source.return?.();
  for (let cleanupYields = 0; step?.done === false && cleanupYields < MAX_CLEANUP_YIELDS; cleanupYields++) {
    step = await source.next();
  }
}

function iteratorOf(iterable: AsyncIterable<unknown>): OpenSource {
  const iterator = fresh(iterable)[Symbol.asyncIterator]();
  if (!has(iterator, 'next')) throw sourceError(iterable, 'Its iterator has no next().');
  return iterator;
}

/**
 * Reads a sync iterable: awaits promises among its values, closes its iterator and keeps its return value. It does not use
 * `yield*`, which in Node 20 does not close the iterator when such a promise rejects (measured).
 */
async function* fromSync(iterable: Iterable<unknown>): AsyncGenerator<unknown, unknown, undefined> {
  const iterator: Iterator<unknown, unknown> = iterable[Symbol.iterator]();
  let done = false;
  try {
    for (;;) {
      const step = iterator.next();
      done = step.done === true;
      if (done) return step.value;
      yield step.value;
    }
  } finally {
    if (!done) iterator.return?.();
  }
}

/** Cancels the stream immediately, even during a pending read, for which the stream's own iterator would wait. */
function readWebStream(stream: ReadableStream<unknown>): OpenSource {
  const reader = stream.getReader();
  let failed = false;
  return {
    next: () =>
      (reader.read() as Promise<IteratorResult<unknown, unknown>>).catch((error: unknown) => {
        failed = true;
        throw error;
      }),
    return: async () => {
      // Cancelling a failed stream would reject with the error that next() has already reported.
      if (!failed) await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}

/** Destroys the stream immediately, even before the first read or during a pending one. */
function readNodeStream(stream: NodeReadable): OpenSource {
  const iterator = stream[Symbol.asyncIterator]();
  let closed = false;
  return {
    next: () =>
      iterator.next().catch((error: unknown) => {
        // Closing aborts a pending read, which is not an error.
        if (closed) return { done: true, value: undefined };
        throw error;
      }),
    return: async () => {
      closed = true;
      // Opening a file may still fail, and without a listener the error would be uncaught.
      stream.on('error', () => undefined);
      stream.destroy();
      return { done: true, value: undefined };
    },
  };
}

function isWebStream(value: unknown): value is ReadableStream<unknown> {
  return has(value, 'getReader') && has(value, 'cancel');
}

export function isNodeReadable(value: unknown): value is NodeReadable {
  return has(value, Symbol.asyncIterator) && has(value, 'pipe') && has(value, 'destroy');
}

export function has<Name extends PropertyKey>(value: unknown, name: Name): value is Record<Name, Method> {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false;
  return typeof (value as Record<Name, unknown>)[name] === 'function';
}

function sourceError(value: unknown, why?: string): TypeError {
  const remedy =
    'Return an async generator, an iterable or a stream, or respond through res and return nothing.';
  const message = `Expected the handler to return something to stream, got ${describe(value)}.`;
  return wrongType('ERR_SSE_INVALID_SOURCE', [message, why, remedy].filter(Boolean).join(' '));
}

/** The iterators and streams that were opened. Each of them can be read only once. */
const opened = new WeakSet<object>();

/** @throws `TypeError` `ERR_SSE_INVALID_SOURCE` for a source that was opened before: two readers would share its values */
function claimed<Source extends object>(source: Source): Source {
  if (opened.has(source)) {
    throw wrongType(
      'ERR_SSE_INVALID_SOURCE',
      `Expected a source that was not read before, got ${describe(source)} a second time. ` +
        'Make a new one in each call of the handler, or share a Channel.',
    );
  }
  opened.add(source);
  return source;
}

/** An iterator is its own iterable and can be read once; other iterables make an iterator for each reader. */
function fresh<Source extends object>(iterable: Source): Source {
  return has(iterable, 'next') ? claimed(iterable) : iterable;
}

/**
 * Whether a handler can only mean to have `value` streamed: an async or sync generator, a web ReadableStream, or an async
 * iterable that is not an event emitter.
 *
 * A handler may return a Node stream, a readline interface or a cursor, which are emitters, as the result of `on()` or
 * `pipe()`. A locked web stream already has a reader, unless it is one that another request has read.
 */
export function isMeantAsSource(value: unknown): boolean {
  if (isAsyncGenerator(value)) return true;
  if (isWebStream(value)) return !value.locked || opened.has(value);
  if (has(value, Symbol.asyncIterator)) return !has(value, 'on');
  return isSyncGenerator(value);
}

/** Whether `value` is a sync generator, by its whole interface. */
export function isSyncGenerator(value: unknown): value is Generator {
  return has(value, Symbol.iterator) && has(value, 'next') && has(value, 'return') && has(value, 'throw');
}
