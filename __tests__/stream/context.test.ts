import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { RequestContext } from '../../lib/stream/context';

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
  it('is true of what the signal has aborted, and of nothing before', () => {
    const { context } = exchange();
    expect(context.signal.aborted).toBe(false);
    const error = new Error('request failed', { cause: new DOMException('', 'AbortError') });
    expect(context.isAbort(error)).toBe(false);

    context.abort();

    expect(context.isAbort(context.signal.reason)).toBe(true);
    expect(context.isAbort(error)).toBe(true);
  });

  it('is false when nobody held the signal', () => {
    const { context } = exchange();
    context.abort();

    expect(context.isAbort(new DOMException('', 'AbortError'))).toBe(false);
  });
});
