import { EventEmitter, on } from 'node:events';
import { createReadStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough, Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { closeSource, isAsyncGenerator, type OpenSource, openSource } from '../lib/source';
import { errorWith } from './support/error-with';

const MISSING_FILE = join(tmpdir(), 'express-yield', 'no', 'such', 'file');

/** Reads a source to its end: what it yielded, and what it returned. */
async function readAll(source: OpenSource): Promise<{ yielded: unknown[]; returned: unknown }> {
  const yielded: unknown[] = [];
  for (;;) {
    const step = await source.next();
    if (step.done) return { yielded, returned: step.value };
    yielded.push(step.value);
  }
}

/** A hand-written async iterable that counts to two, with or without a `return`. */
function countToTwo(onReturn?: () => void): AsyncIterable<number> {
  let n = 0;
  const next = async (): Promise<IteratorResult<number>> =>
    n < 2 ? { done: false, value: ++n } : { done: true, value: undefined };
  const end = async (): Promise<IteratorResult<number>> => {
    onReturn?.();
    return { done: true, value: undefined };
  };
  return { [Symbol.asyncIterator]: () => (onReturn === undefined ? { next } : { next, return: end }) };
}

describe('openSource()', () => {
  it.each<[string, () => unknown, unknown[], unknown]>([
    [
      'an async generator',
      async function* () {
        yield 1;
        yield 2;
        return 'end';
      },
      [1, 2],
      'end',
    ],
    [
      'a generator',
      function* () {
        yield 1;
        yield 2;
        return 'end';
      },
      [1, 2],
      'end',
    ],
    ['an async iterable with return', () => countToTwo(() => undefined), [1, 2], undefined],
    ['an async iterable without return', () => countToTwo(), [1, 2], undefined],
    ['an array', () => [1, 2], [1, 2], undefined],
    ['an array of promises', () => [Promise.resolve(1), 2], [1, 2], undefined],
    ['an empty array', () => [], [], undefined],
    ['a Set', () => new Set([1, 2]), [1, 2], undefined],
    ['a Map', () => new Map([['a', 1]]), [['a', 1]], undefined],
    ['a Node Readable', () => Readable.from([1, 2]), [1, 2], undefined],
    ['a Node Duplex', () => new PassThrough({ encoding: 'utf8' }).end('a'), ['a'], undefined],
    ['a web ReadableStream', () => ReadableStream.from([1, 2]), [1, 2], undefined],
  ])('reads %s', async (_kind, make, yielded, returned) => {
    expect(await readAll(openSource(make()))).toEqual({ yielded, returned });
  });

  it('reads a readline interface', async () => {
    const source = openSource(createInterface({ input: Readable.from(['a\nb\n']) }));

    expect((await readAll(source)).yielded).toEqual(['a', 'b']);
  });

  it.each<[string, () => unknown]>([
    [
      'an async generator',
      async function* () {
        yield await Promise.reject(new Error('boom'));
      },
    ],
    ['a list with a rejected promise', () => [Promise.reject(new Error('boom'))]],
    [
      'a Node Readable',
      () =>
        new Readable({
          read: (): never => {
            throw new Error('boom');
          },
        }),
    ],
    [
      'a web ReadableStream',
      () =>
        new ReadableStream({
          pull: (): never => {
            throw new Error('boom');
          },
        }),
    ],
  ])('rejects with the error of %s', async (_kind, make) => {
    await expect(openSource(make()).next()).rejects.toThrow('boom');
  });

  it('rejects with the error of a file that does not exist', async () => {
    await expect(openSource(createReadStream(MISSING_FILE)).next()).rejects.toThrow('ENOENT');
  });

  it('does not start an async generator', () => {
    let started = false;
    openSource(
      (async function* () {
        started = true;
        yield 1;
      })(),
    );

    expect(started).toBe(false);
  });

  const remedy =
    'Return an async generator, an iterable or a stream, or respond through res and return nothing.';

  it.each([
    ['null', null, 'null.'],
    ['undefined', undefined, 'undefined.'],
    ['a number', 5, '5 (number).'],
    ['a string', 'abc', "'abc' (string)."],
    ['an object', { a: 1 }, '{ a: 1 } (object).'],
    ['a function', parseInt, '[Function: parseInt] (function).'],
    ['a Buffer', Buffer.from('a'), '<Buffer 61> (object). Binary data is not a list of events.'],
    ['a Uint8Array', new Uint8Array(1), 'Uint8Array(1) [ 0 ] (object). Binary data is not a list of events.'],
  ])('refuses %s', (_kind, value, shown) => {
    const message = `Expected the handler to return something to stream, got ${shown} ${remedy}`;

    expect(() => openSource(value)).toThrow(
      errorWith({
        name: 'TypeError',
        code: 'ERR_SSE_INVALID_SOURCE',
        message,
      }),
    );
  });
});

describe('isAsyncGenerator()', () => {
  async function* generate() {
    yield 1;
  }

  const endlessIterator = {
    next: async () => ({ done: false, value: 1 }),
    [Symbol.asyncIterator]: () => endlessIterator,
  };

  it.each<[string, unknown]>([
    ['an async generator', generate()],
    ['another object with the same methods', on(new EventEmitter(), 'x')],
  ])('is true of %s', (_kind, value) => {
    expect(isAsyncGenerator(value)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['a generator function', generate],
    ['a generator', (function* () {})()],
    ['an async iterable', countToTwo()],
    ['an async iterable with return', countToTwo(() => undefined)],
    ['an iterator with return, but without throw', { ...endlessIterator, return: endlessIterator.next }],
    ['an iterator with throw, but without return', { ...endlessIterator, throw: endlessIterator.next }],
    ['a Node Readable', new PassThrough()],
    ['a web ReadableStream', new ReadableStream()],
    ['a readline interface', createInterface({ input: new PassThrough() })],
    ['an array', [1]],
    ['a promise of an async generator', Promise.resolve(generate())],
    ['null', null],
    ['undefined', undefined],
    ['a string', 'abc'],
  ])('is false of %s', (_kind, value) => {
    expect(isAsyncGenerator(value)).toBe(false);
  });
});

describe('closeSource()', () => {
  it('runs the finally of a generator that has started', async () => {
    const log: string[] = [];
    const source = openSource(
      (async function* () {
        try {
          yield 1;
        } finally {
          log.push('cleaned up');
        }
      })(),
    );

    await source.next();
    await closeSource(source);

    expect(log).toEqual(['cleaned up']);
  });

  it('runs the rest of a finally that yields', async () => {
    const log: string[] = [];
    const source = openSource(
      (async function* () {
        try {
          yield 1;
        } finally {
          yield 'last';
          log.push('after the first');
          yield 'another';
          log.push('after the second');
        }
      })(),
    );

    await source.next();
    await closeSource(source);

    expect(log).toEqual(['after the first', 'after the second']);
  });

  it('stops reading a finally that never ends', async () => {
    let yielded = 0;
    const source = openSource(
      (async function* () {
        try {
          yield 1;
        } finally {
          for (;;) yield ++yielded;
        }
      })(),
    );

    await source.next();
    await closeSource(source);

    expect(yielded).toBeLessThan(10_000);
  });

  it('rejects with the error that a finally throws', async () => {
    const source = openSource(
      (async function* () {
        try {
          yield 1;
        } finally {
          // biome-ignore lint/correctness/noUnsafeFinally: the test needs it
          throw new Error('cannot clean up');
        }
      })(),
    );

    await source.next();

    await expect(closeSource(source)).rejects.toThrow('cannot clean up');
  });

  it('calls return() of a custom iterator', async () => {
    const onReturn = jest.fn();
    const source = openSource(countToTwo(onReturn));

    await source.next();
    await closeSource(source);

    expect(onReturn).toHaveBeenCalledTimes(1);
  });

  it('resolves for an iterator without return', async () => {
    await expect(closeSource(openSource(countToTwo()))).resolves.toBeUndefined();
  });

  it('calls return() of a sync iterator', async () => {
    const log: string[] = [];
    const source = openSource(
      (function* () {
        try {
          yield 1;
        } finally {
          log.push('cleaned up');
        }
      })(),
    );

    await source.next();
    await closeSource(source);

    expect(log).toEqual(['cleaned up']);
  });

  it.each<[string, () => unknown]>([
    ['an array', () => [1]],
    ['a Node Readable', () => Readable.from([1])],
    ['a web ReadableStream', () => ReadableStream.from([1])],
  ])('resolves for %s that has ended', async (_kind, make) => {
    const source = openSource(make());
    await readAll(source);

    await expect(closeSource(source)).resolves.toBeUndefined();
  });
});

describe('closing a Node Readable', () => {
  it.each<[string, boolean]>([
    ['before the first read', false],
    ['between two reads', true],
  ])('destroys it %s', async (_when, readFirst) => {
    const stream = Readable.from(['a', 'b']);
    const source = openSource(stream);

    if (readFirst) await source.next();
    await closeSource(source);

    expect(stream.destroyed).toBe(true);
  });

  it('ends a pending read', async () => {
    const stream = new Readable({ read() {} });
    const source = openSource(stream);

    const pending = source.next();
    await closeSource(source);

    expect(await pending).toEqual({ done: true, value: undefined });
    expect(stream.destroyed).toBe(true);
  });

  it('handles the error of a file that does not exist, before the first read', async () => {
    const stream = createReadStream(MISSING_FILE);

    await closeSource(openSource(stream));
    if (!stream.closed) await new Promise<void>((resolve) => stream.once('close', resolve));

    // Without a listener, the 'error' event would be an uncaught exception, which fails the test.
    expect(stream.errored).toMatchObject({ code: 'ENOENT' });
  });
});

describe('closing a web ReadableStream', () => {
  it.each<[string, boolean]>([
    ['before the first read', false],
    ['between two reads', true],
  ])('cancels it %s', async (_when, readFirst) => {
    const cancel = jest.fn();
    const source = openSource(new ReadableStream({ pull: (controller) => controller.enqueue(1), cancel }));

    if (readFirst) await source.next();
    await closeSource(source);

    expect(cancel).toHaveBeenCalledTimes(1);
  });

  it('resolves for one that has failed, because next() has reported its error', async () => {
    const source = openSource(
      new ReadableStream({ start: (controller) => controller.error(new Error('boom')) }),
    );
    await source.next().catch(() => undefined);

    await expect(closeSource(source)).resolves.toBeUndefined();
  });

  it('ends a pending read', async () => {
    const cancel = jest.fn();
    const source = openSource(new ReadableStream({ pull: () => new Promise<void>(() => undefined), cancel }));

    const pending = source.next();
    await turn();
    await closeSource(source);

    expect(await pending).toEqual({ done: true, value: undefined });
    expect(cancel).toHaveBeenCalledTimes(1);
  });
});

it('closes a sync iterator if one of its promises rejects', async () => {
  const onFinally = jest.fn();
  const source = openSource(
    (function* () {
      try {
        yield Promise.reject(new Error('boom'));
      } finally {
        onFinally();
      }
    })(),
  );

  await expect(source.next()).rejects.toThrow('boom');

  expect(onFinally).toHaveBeenCalledTimes(1);
});
