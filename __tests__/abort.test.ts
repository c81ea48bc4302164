import { abortError, isAbortOf } from '../lib/abort';
import { fullMessage } from './support/error-with';

const ABORTED = AbortSignal.abort();

class APIUserAbortError extends Error {}

const cycle = new Error('a');
cycle.cause = new Error('b', { cause: cycle });

describe('isAbortOf()', () => {
  it("is true of the signal's own reason, which may be any value", () => {
    const reason = new Error('enough');

    expect(isAbortOf(AbortSignal.abort(reason), reason)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['an AbortError', Object.assign(new Error('stop'), { name: 'AbortError' })],
    ["axios's CanceledError", Object.assign(new Error('stop'), { name: 'CanceledError' })],
    ["got's CancelError", Object.assign(new Error('stop'), { name: 'CancelError' })],
    ["an error whose class is named for an abort, as OpenAI's", new APIUserAbortError('stop')],
    [
      'a cause',
      new Error('request failed', { cause: Object.assign(new Error('stop'), { name: 'AbortError' }) }),
    ],
    ["a cause's cause", new Error('a', { cause: new Error('b', { cause: new APIUserAbortError('c') }) })],
  ])('is true of %s', (_name, error) => {
    expect(isAbortOf(ABORTED, error)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['another error', new Error('boom')],
    ['an error that only mentions an abort in its message', new Error('The operation was aborted')],
    ['another cause', new Error('a', { cause: new Error('b') })],
    ['causes in a circle', cycle],
    ['an object without a prototype', Object.create(null)],
    ['a string', 'AbortError'],
    ['null', null],
    ['undefined', undefined],
  ])('is false of %s', (_name, error) => {
    expect(isAbortOf(ABORTED, error)).toBe(false);
  });

  it.each([
    ['that has not aborted', new AbortController().signal],
    ['that was not read', undefined],
  ])('is false for a signal %s', (_name, signal) => {
    expect(isAbortOf(signal, new DOMException('', 'AbortError'))).toBe(false);
  });
});

describe('abortError()', () => {
  it('makes the same error as an AbortController, and restores Error.stackTraceLimit', () => {
    const { stackTraceLimit } = Error;
    const error = abortError();

    expect(error).toMatchObject({ name: 'AbortError', message: ABORTED.reason.message, code: 20 });
    expect(Error.stackTraceLimit).toBe(stackTraceLimit);
  });

  it.each([
    ['ERR_SSE_CLIENT_LEFT', 'the client has disconnected'],
    ['ERR_SSE_CLOSING', 'the server has closed the stream'],
    ['ERR_SSE_EXPIRED', 'maxDurationMs has passed'],
    ['ERR_SSE_STALLED', 'the client has not read for stallTimeoutMs'],
  ] as const)('says what %s means, with a pointer to its section', (code, reason) => {
    const message = fullMessage(code, `${ABORTED.reason.message}: ${reason}.`);

    expect(abortError(code)).toMatchObject({ name: 'AbortError', code, message });
  });
});
