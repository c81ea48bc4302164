import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { RequestContext } from '../../lib/connection/context';

/** A request's context, and the response by whose fate it lives. */
function exchange(lastEventId?: string): { context: RequestContext; res: ServerResponse } {
  const headers = { 'last-event-id': lastEventId };
  const req = Object.assign(new IncomingMessage(new Socket()), { headers });
  const res = new ServerResponse(req);
  return { context: new RequestContext(req, res), res };
}

/** What Node does when the client is gone. */
function leave(res: ServerResponse): void {
  res.destroy();
  res.emit('close');
}

/** What Node does once the client has got everything. */
function finish(res: ServerResponse): void {
  res.end();
  res.emit('close');
}

describe('lastEventId', () => {
  it('is what the client has sent', () => {
    expect(exchange('row-7').context.lastEventId).toBe('row-7');
  });

  it("is '' at the first connection", () => {
    expect(exchange().context.lastEventId).toBe('');
  });
});

describe('signal', () => {
  it('is not aborted while the client is there', () => {
    expect(exchange().context.signal.aborted).toBe(false);
  });

  it('is always the same', () => {
    const { context } = exchange();

    expect(context.signal).toBe(context.signal);
  });

  it('aborts when the client leaves', () => {
    const { context, res } = exchange();
    const { signal } = context;

    leave(res);

    expect(signal.aborted).toBe(true);
    expect(context.aborted).toBe(true);
  });

  it('listens to nothing while a stream tells of the end, and again once that has given it back', () => {
    const { context, res } = exchange();
    const { signal } = context;

    context.adopt();
    expect(res.listenerCount('close')).toBe(0);
    context.release();
    leave(res);

    expect(signal.aborted).toBe(true);
    expect(res.listenerCount('close')).toBe(0);
  });

  it('has an AbortError for its reason, and leaves the depth of stacks as it was', () => {
    const { context } = exchange();
    const { signal } = context;
    const { stackTraceLimit } = Error;

    context.abort();

    expect(signal.reason).toMatchObject({ name: 'AbortError', message: 'This operation was aborted' });
    expect(Error.stackTraceLimit).toBe(stackTraceLimit);
  });

  it('does not abort when the response was ended', () => {
    const { context, res } = exchange();
    const { signal } = context;

    finish(res);

    expect(signal.aborted).toBe(false);
    expect(context.aborted).toBe(false);
  });

  it('aborts with abort()', () => {
    const { context } = exchange();
    const { signal } = context;

    context.abort();

    expect(signal.aborted).toBe(true);
    expect(context.aborted).toBe(true);
  });

  it('aborts with an AbortError, as every AbortController', () => {
    const { context } = exchange();

    context.abort();

    expect(context.signal.reason).toMatchObject({ name: 'AbortError' });
  });

  it('tells its listeners once', () => {
    const { context, res } = exchange();
    const onAbort = jest.fn();
    context.signal.addEventListener('abort', onAbort);

    context.abort();
    context.abort();
    leave(res);

    expect(onAbort).toHaveBeenCalledTimes(1);
  });

  it.each<[string, (context: RequestContext, res: ServerResponse) => void]>([
    ['after abort()', (context) => context.abort()],
    ['after the client has left', (_context, res) => leave(res)],
    ['after the response is over', (_context, res) => finish(res)],
  ])('is aborted from the start when it is asked for %s', (_when, happen) => {
    const { context, res } = exchange();

    happen(context, res);

    expect(context.signal.aborted).toBe(true);
    expect(context.aborted).toBe(true);
  });

  it('costs no listener before it is asked for', () => {
    const { res } = exchange();

    expect(res.listenerCount('close')).toBe(0);
  });

  it('costs one listener, however often it is asked for', () => {
    const { context, res } = exchange();

    expect([context.signal, context.signal]).toHaveLength(2);

    expect(res.listenerCount('close')).toBe(1);
  });

  it.each([
    ['the client has left', leave],
    ['the response is over', finish],
  ])('leaves no listener behind when %s', (_when, happen) => {
    const { context, res } = exchange();
    expect(context.signal.aborted).toBe(false);

    happen(res);

    expect(res.listenerCount('close')).toBe(0);
  });

  it('takes no listener when it is asked for too late', () => {
    const { context, res } = exchange();
    leave(res);

    expect(context.signal.aborted).toBe(true);

    expect(res.listenerCount('close')).toBe(0);
  });
});

describe('isAbort()', () => {
  class APIUserAbortError extends Error {}

  const cycle = new Error('a');
  cycle.cause = new Error('b', { cause: cycle });

  /** A context whose signal somebody held when it aborted. */
  function abortedContext(): RequestContext {
    const { context } = exchange();
    expect(context.signal.aborted).toBe(false);
    context.abort();
    return context;
  }

  it("is true of the signal's own reason", () => {
    const context = abortedContext();

    expect(context.isAbort(context.signal.reason)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['an AbortError', Object.assign(new Error('stop'), { name: 'AbortError' })],
    ["axios's CanceledError", Object.assign(new Error('stop'), { name: 'CanceledError' })],
    ["got's CancelError", Object.assign(new Error('stop'), { name: 'CancelError' })],
    ["a class's name, as of OpenAI", new APIUserAbortError('stop')],
    [
      'a cause',
      new Error('request failed', { cause: Object.assign(new Error('stop'), { name: 'AbortError' }) }),
    ],
    ["a cause's cause", new Error('a', { cause: new Error('b', { cause: new APIUserAbortError('c') }) })],
  ])('is true of %s', (_name, error) => {
    expect(abortedContext().isAbort(error)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['another error', new Error('boom')],
    ['an error that only speaks of it', new Error('The operation was aborted')],
    ['another cause', new Error('a', { cause: new Error('b') })],
    ['causes in a circle', cycle],
    ['an object without a prototype', Object.create(null)],
    ['a string', 'AbortError'],
    ['null', null],
    ['undefined', undefined],
  ])('is false of %s', (_name, error) => {
    expect(abortedContext().isAbort(error)).toBe(false);
  });

  it('is false of an AbortError while the signal has not aborted', () => {
    const { context } = exchange();
    expect(context.signal.aborted).toBe(false);

    expect(context.isAbort(Object.assign(new Error('stop'), { name: 'AbortError' }))).toBe(false);
  });

  it('is false of an AbortError when nobody held the signal', () => {
    const { context } = exchange();
    context.abort();

    expect(context.isAbort(Object.assign(new Error('stop'), { name: 'AbortError' }))).toBe(false);
  });
});
