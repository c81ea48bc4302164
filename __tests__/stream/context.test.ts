import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { RequestContext } from '../../lib/stream/context';

/** The context of a request, with the response that it observes. */
function exchange(lastEventId?: string): { context: RequestContext; res: ServerResponse } {
  const headers = { 'last-event-id': lastEventId };
  const req = Object.assign(new IncomingMessage(new Socket()), { headers });
  const res = new ServerResponse(req);
  return { context: new RequestContext(req, res), res };
}

/** Simulates a client that disconnects. */
function disconnect(res: ServerResponse): void {
  res.destroy();
  res.emit('close');
}

/** Simulates a response that was sent completely. */
function finish(res: ServerResponse): void {
  res.end();
  res.emit('close');
}

describe('lastEventId', () => {
  it('is the id that the client has sent', () => {
    expect(exchange('row-7').context.lastEventId).toBe('row-7');
  });

  it("is '' on the first connection", () => {
    expect(exchange().context.lastEventId).toBe('');
  });
});

describe('signal', () => {
  it('is not aborted while the client is connected', () => {
    expect(exchange().context.signal.aborted).toBe(false);
  });

  it('is always the same object', () => {
    const { context } = exchange();

    expect(context.signal).toBe(context.signal);
  });

  it('aborts when the client disconnects', () => {
    const { context, res } = exchange();
    const { signal } = context;

    disconnect(res);

    expect(signal.aborted).toBe(true);
    expect(context.aborted).toBe(true);
  });

  it('needs no listener between adopt() and release(), and listens again after release()', () => {
    const { context, res } = exchange();
    const { signal } = context;

    context.adopt();
    expect(res.listenerCount('close')).toBe(0);
    context.release();
    disconnect(res);

    expect(signal.aborted).toBe(true);
    expect(res.listenerCount('close')).toBe(0);
  });

  it('does not abort when the response has ended', () => {
    const { context, res } = exchange();
    const { signal } = context;

    finish(res);

    expect(signal.aborted).toBe(false);
    expect(context.aborted).toBe(false);
  });

  it('aborts with abort()', () => {
    const { context } = exchange();
    const { signal } = context;

    context.abort('ERR_SSE_CLIENT_LEFT');

    expect(signal.aborted).toBe(true);
    expect(context.aborted).toBe(true);
  });

  it('has an AbortError as its reason, like any AbortController', () => {
    const { context } = exchange();

    context.abort('ERR_SSE_CLIENT_LEFT');

    expect(context.signal.reason).toMatchObject({ name: 'AbortError' });
  });

  it('notifies its listeners once', () => {
    const { context, res } = exchange();
    const onAbort = jest.fn();
    context.signal.addEventListener('abort', onAbort);

    context.abort('ERR_SSE_CLIENT_LEFT');
    context.abort('ERR_SSE_CLIENT_LEFT');
    disconnect(res);

    expect(onAbort).toHaveBeenCalledTimes(1);
  });

  it.each<[string, (context: RequestContext, res: ServerResponse) => void]>([
    ['after abort()', (context) => context.abort('ERR_SSE_CLIENT_LEFT')],
    ['after the client has disconnected', (_context, res) => disconnect(res)],
    ['after the response has ended', (_context, res) => finish(res)],
  ])('is already aborted when it is first read %s', (_when, happen) => {
    const { context, res } = exchange();

    happen(context, res);

    expect(context.signal.aborted).toBe(true);
    expect(context.aborted).toBe(true);
  });

  it('adds no listener before it is read', () => {
    const { res } = exchange();

    expect(res.listenerCount('close')).toBe(0);
  });

  it('adds one listener for any number of reads', () => {
    const { context, res } = exchange();

    expect([context.signal, context.signal]).toHaveLength(2);

    expect(res.listenerCount('close')).toBe(1);
  });

  it.each([
    ['the client has disconnected', disconnect],
    ['the response has ended', finish],
  ])('leaves no listener when %s', (_when, happen) => {
    const { context, res } = exchange();
    expect(context.signal.aborted).toBe(false);

    happen(res);

    expect(res.listenerCount('close')).toBe(0);
  });

  it('adds no listener when it is first read after the client has disconnected', () => {
    const { context, res } = exchange();
    disconnect(res);

    expect(context.signal.aborted).toBe(true);

    expect(res.listenerCount('close')).toBe(0);
  });
});

describe('isAbort()', () => {
  it('is true for an abort error only after the signal has aborted', () => {
    const { context } = exchange();
    expect(context.signal.aborted).toBe(false);
    const error = new Error('request failed', { cause: new DOMException('', 'AbortError') });
    expect(context.isAbort(error)).toBe(false);

    context.abort('ERR_SSE_CLIENT_LEFT');

    expect(context.isAbort(context.signal.reason)).toBe(true);
    expect(context.isAbort(error)).toBe(true);
  });

  it('is false when the signal was never read', () => {
    const { context } = exchange();
    context.abort('ERR_SSE_CLIENT_LEFT');

    expect(context.isAbort(new DOMException('', 'AbortError'))).toBe(false);
  });
});
