import { describe, wrongType } from './errors';

/** A source while it is read: an iterator whose `return` takes effect, if need be on what it is waiting for. */
export type OpenSource = AsyncIterator<unknown, unknown, undefined>;

type Method = (...args: never[]) => unknown;

interface NodeReadable extends AsyncIterable<unknown> {
  destroy(): unknown;
  on(event: 'error', listener: () => void): unknown;
}

/** After so many values yielded in a `finally` it is taken for one that never ends. */
const MAX_FAREWELLS = 1_000;

/**
 * Whether `value` is an async generator, by its whole interface. A Node stream, a readline interface or a database
 * cursor, which a handler may return without wanting it streamed, has only parts of it.
 */
export function isAsyncGenerator(value: unknown): value is AsyncGenerator<unknown, unknown, undefined> {
  return (
    has(value, Symbol.asyncIterator) && has(value, 'next') && has(value, 'return') && has(value, 'throw')
  );
}

/**
 * Begins to read what a handler returned: an async or sync iterable, a Node Readable, a web ReadableStream.
 *
 * @throws `TypeError` `ERR_SSE_INVALID_SOURCE` that names the value and the remedy
 */
export function openSource(value: unknown): OpenSource {
  if (isAsyncGenerator(value)) return claimed(value);
  if (isWebStream(value)) return readWebStream(claimed(value));
  if (isNodeReadable(value)) return readNodeStream(claimed(value));
  if (has(value, Symbol.asyncIterator)) return iteratorOf(value as unknown as AsyncIterable<unknown>);
  if (ArrayBuffer.isView(value)) throw notStreamable(value, 'Binary data is no list of events.');
  if (has(value, Symbol.iterator)) return fromSync(fresh(value as unknown as Iterable<unknown>));
  throw notStreamable(value);
}

/**
 * Ends a source before its time. Its `finally` blocks run to their end: what they yield is discarded.
 *
 * `next()` and not a second `return()` carries on from a `yield` inside a `finally`: `return()` there leaves that
 * very block and skips the rest of it (measured). For the same reason nothing can save the rest
 * of a `finally` that a generator reaches by itself while this `return()` is waiting; only the blocks around it run.
 *
 * @returns when the source is through, which may be never if it waits for something that does not come
 */
export async function closeSource(source: OpenSource): Promise<void> {
  let step = await source.return?.();
  for (let farewells = 0; step?.done === false && farewells < MAX_FAREWELLS; farewells++) {
    step = await source.next();
  }
}

function iteratorOf(iterable: AsyncIterable<unknown>): OpenSource {
  const iterator = fresh(iterable)[Symbol.asyncIterator]();
  if (!has(iterator, 'next')) throw notStreamable(iterable, 'Its iterator has no next().');
  return iterator;
}

/**
 * Awaits promises among the values, closes the iterator, and keeps its return value. A loop, because `yield*` in
 * Node 20 does not close it when such a promise is rejected (measured).
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

/** Cancels at once, also while a read is pending, for which the stream's own iterator would wait. */
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
      // A stream that has failed would fail again with the same error, which is told already.
      if (!failed) await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}

/** Destroys the stream at once, also before the first read or while one is pending. */
function readNodeStream(stream: NodeReadable): OpenSource {
  const iterator = stream[Symbol.asyncIterator]();
  let closed = false;
  return {
    next: () =>
      iterator.next().catch((error: unknown) => {
        // The end of a pending read is what closing was for.
        if (closed) return { done: true, value: undefined };
        throw error;
      }),
    return: async () => {
      closed = true;
      // Opening a file may yet fail, and nobody else listens any more.
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

function notStreamable(value: unknown, why?: string): TypeError {
  const remedy =
    'Return an async generator, an iterable or a stream, or answer through res and return nothing.';
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
