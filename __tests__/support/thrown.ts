import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';

/** A value whose every use throws. */
function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function throwing(): never {
  throw new Error('Nothing may read this.');
}

/** An error with a property that throws when it is read. */
function errorWithout(name: string): Error {
  return Object.defineProperty(new Error('The disk is full.'), name, { get: throwing });
}

/** Whatever may be thrown, and what must be shown of it. */
export const THROWN: readonly (readonly [name: string, value: unknown, shown: string])[] = [
  ['an error whose stack throws', errorWithout('stack'), 'The disk is full.'],
  ['an error whose name throws', errorWithout('name'), 'The disk is full.'],
  ['an error whose message throws', errorWithout('message'), 'Error'],
  ['an error whose cause throws', errorWithout('cause'), 'The disk is full.'],
  ['an error whose constructor throws', errorWithout('constructor'), 'The disk is full.'],
  ['an error whose status throws', errorWithout('status'), 'The disk is full.'],
  ['an error whose kind throws', errorWithout(String(Symbol.toStringTag)), 'The disk is full.'],
  [
    'an error whose inspect function throws',
    Object.assign(new Error('The disk is full.'), { [inspect.custom]: throwing }),
    'The disk is full.',
  ],
  ['an object whose inspect function throws', { [inspect.custom]: throwing }, '[object Object]'],
  [
    'an object of which nothing can be read',
    {
      [inspect.custom]: throwing,
      get message() {
        return throwing();
      },
      get [Symbol.toStringTag]() {
        return throwing();
      },
    },
    '[unreadable object]',
  ],
  ['an object whose inspect function returns nothing', { [inspect.custom]: () => '' }, '[object Object]'],
  [
    'a Proxy whose traps throw',
    new Proxy({}, { get: throwing, has: throwing, ownKeys: throwing, getPrototypeOf: throwing }),
    '{}',
  ],
  ['a revoked Proxy', revoked(), 'Revoked Proxy'],
  [
    'an error without a prototype',
    Object.assign(Object.create(null), { message: 'The disk is full.' }),
    'The disk is full.',
  ],
  ['a frozen error', Object.freeze(new Error('The disk is full.')), 'The disk is full.'],
  [
    'an error whose message is an object',
    Object.assign(new Error(), { message: { toString: throwing } }),
    'Error',
  ],
  ['an error of another realm', runInNewContext("new Error('The disk is full.')"), 'The disk is full.'],
  ['a symbol', Symbol('full'), 'Symbol(full)'],
  ['a string', 'full', "'full'"],
  ['null', null, 'null'],
  ['undefined', undefined, 'undefined'],
  ['a function', throwing, '[Function: throwing]'],
];
