import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { Channel } from '../../lib';
import { acceptsEventStream, lastEventIdOf, writeHead } from '../../lib/connection/head';
import { MAX_ID_BYTES } from '../../lib/format/event';
import { resolveSseOptions } from '../../lib/stream/options';
import { releaseAll, serve } from '../support/serve';

function requestWith(headers: IncomingMessage['headers']): IncomingMessage {
  return Object.assign(new IncomingMessage(new Socket()), { headers });
}

/** The string that Node returns for a header sent in UTF-8. */
function asHeader(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

describe('RFC 9110 12.5.1 Accept', () => {
  it.each<[string | undefined, boolean]>([
    [undefined, true],
    ['', true],
    [' ', true],
    ['text/event-stream', true],
    ['Text/Event-Stream', true],
    ['text/event-stream;charset=utf-8', true],
    ['text/*', true],
    ['*/*', true],
    ['text/html, */*;q=0.1', true],
    [' , ,', true],
    ['text/event-stream;level=1;q=0, text/event-stream', true],
    ['text/event-stream, text/event-stream;level=1;q=0', true],
    ['text/html,text/event-stream', true],
    ['text/html , text/event-stream ; q=0.5', true],
    ['text/event-stream;q=0.001', true],
    ['text/event-stream;q=1.000', true],
    ['text/html', false],
    ['application/json, text/plain', false],
    ['application/*', false],
    ['text/event-streams', false],
    ['text/event-stream;q=0', false],
    ['text/event-stream;Q=0', false],
    ['text/event-stream; q=0.', false],
    ['text/event-stream; q=0.000', false],
    ['*/*;q=0', false],
    ['text/*;q=0, text/html', false],
  ])('%p accepts an event stream: %p', (accept, expected) => {
    expect(acceptsEventStream(requestWith({ accept }))).toBe(expected);
  });

  it.each([
    ['text/event-stream;q=0, */*', false],
    ['*/*, text/event-stream;q=0', false],
    ['text/event-stream;q=0, text/*', false],
    ['text/*;q=0, */*', false],
    ['*/*, text/*;q=0', false],
    ['text/event-stream, */*;q=0', true],
    ['*/*;q=0, text/event-stream', true],
    ['*/*;q=0, text/*', true],
    ['text/*;q=0, text/event-stream;q=0.1', true],
  ])('%p is decided by the most specific range: %p', (accept, expected) => {
    expect(acceptsEventStream(requestWith({ accept }))).toBe(expected);
  });
});

describe('lastEventIdOf()', () => {
  it.each([
    ['an id', 'row-7'],
    ['the reserved id of the end', '~end'],
    ['accents', 'é'],
    ['three bytes', '✓'],
    ['four bytes', '😀'],
    ['spaces within', 'a b'],
  ])('reads %s', (_name, id) => {
    expect(lastEventIdOf(requestWith({ 'last-event-id': asHeader(id) }))).toBe(id);
  });

  it.each([undefined, ''])("is '' when the header is %p", (header) => {
    expect(lastEventIdOf(requestWith({ 'last-event-id': header }))).toBe('');
  });

  it("reads a header that is not valid UTF-8 as latin1, which Node's fetch sends", () => {
    expect(lastEventIdOf(requestWith({ 'last-event-id': 'caf\xe9' }))).toBe('café');
  });

  it('reads the first of several headers', () => {
    expect(lastEventIdOf(requestWith({ 'last-event-id': ['a', 'b'] }))).toBe('a');
  });

  it('reads the longest allowed id completely', () => {
    const id = '✓'.repeat(Math.floor(MAX_ID_BYTES / 3));

    expect(lastEventIdOf(requestWith({ 'last-event-id': asHeader(id) }))).toBe(id);
  });

  it('truncates a header after MAX_ID_BYTES', () => {
    expect(lastEventIdOf(requestWith({ 'last-event-id': 'x'.repeat(100_000) })).length).toBe(MAX_ID_BYTES);
  });
});

describe('lastEventIdOf() of a URL', () => {
  function idOf(url: string, header?: string): string {
    return lastEventIdOf(Object.assign(requestWith({ 'last-event-id': header }), { url }));
  }

  it.each([
    ['an id', '/x?lastEventId=row-7', 'row-7'],
    ['among other fields', '/x?a=1&lastEventId=7&b=2', '7'],
    ['the first of several', '/x?lastEventId=7&lastEventId=8', '7'],
    ['percent-encoded UTF-8', `/x?lastEventId=${encodeURIComponent('東京-7')}`, '東京-7'],
    ['raw UTF-8', `/x?lastEventId=${asHeader('東京-7')}`, '東京-7'],
    ['percent-encoded latin1', '/x?lastEventId=caf%E9', 'café'],
    ['a plus sign as a space', '/x?lastEventId=a+b%2Bc', 'a b+c'],
    ['the reserved id of the end', '/x?lastEventId=~end', '~end'],
    ['an id with an equals sign', '/x?lastEventId=a=b', 'a=b'],
    ['a URL that begins with two slashes', '//evil.example//x?lastEventId=7', '7'],
    ['a query with a second question mark', '/x?a=?&lastEventId=7', '7'],
  ])('reads %s', (_name, url, id) => {
    expect(idOf(url)).toBe(id);
  });

  it.each([
    ['no query', '/x'],
    ['an empty field', '/x?lastEventId='],
    ['the name in the path', '/lastEventId=7'],
    ['the name in the path and a query', '/lastEventId=7?a=1'],
    ['a longer name', '/x?mylastEventId=7'],
    ['the name as a value', '/x?a=lastEventId=7'],
    ['another case', '/x?LASTEVENTID=7'],
  ])("is '' for %s", (_name, url) => {
    expect(idOf(url)).toBe('');
  });

  it.each([
    ['a malformed escape', '%zz%', '%zz%'],
    ['an escape that is cut off', 'a%4', 'a%4'],
    ['a line end, which no id has', '7%0Adata:%20x', '7%0Adata:%20x'],
    ['NUL, which no id has', '7%00', '7%00'],
  ])('takes %s literally', (_name, text, id) => {
    expect(idOf(`/x?lastEventId=${text}`)).toBe(id);
  });

  it('gives precedence to the header, unless that is empty', () => {
    expect(idOf('/x?lastEventId=7', '8')).toBe('8');
    expect(idOf('/x?lastEventId=7', '')).toBe('7');
  });

  it('truncates it after MAX_ID_BYTES', () => {
    expect(idOf(`/x?lastEventId=${'%78'.repeat(10_000)}`)).toBe('x'.repeat(MAX_ID_BYTES));
  });

  it('reads no header and no URL that stands on Object.prototype', () => {
    Reflect.set(Object.prototype, 'last-event-id', '7');
    try {
      expect(lastEventIdOf(requestWith({}))).toBe('');
    } finally {
      Reflect.deleteProperty(Object.prototype, 'last-event-id');
    }
  });
});

describe('the last event ID in the query of a request', () => {
  afterEach(releaseAll);

  it('resumes a channel exactly after that event', async () => {
    const channel = new Channel();
    const server = await serve((app) => {
      app.get('/', () => channel);
    });
    const id = await channel.publish(1);
    await channel.publish(2);
    const stream = await server.openStream(`/?lastEventId=${encodeURIComponent(id)}`);

    expect((await stream.next()).data).toBe('2');
  });

  it('is answered by a 204 after the end of a stream, whose generator does not start again', async () => {
    let started = 0;
    const server = await serve((app) => {
      app.get('/', async function* () {
        started++;
        yield 1;
      });
    });
    const stream = await server.openStream('/');
    await stream.ended();

    const response = await fetch(server.url(`/?lastEventId=${encodeURIComponent(stream.lastEventId)}`));

    expect([response.status, started]).toEqual([204, 1]);
  });

  it.each(['%', '%E0%A4%A', '%00', '%ff'])('is never an error: %s', async (id) => {
    const server = await serve((app) => {
      app.get('/', async function* (_req, res) {
        yield typeof res.sse.lastEventId;
      });
    });
    const stream = await server.openStream(`/?lastEventId=${id}`);

    expect((await stream.next()).data).toBe('string');
  });
});

describe('writeHead()', () => {
  function responseWith(headers: Readonly<Record<string, string | string[]>> = {}): ServerResponse {
    const res = new ServerResponse(requestWith({}));
    for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
    return res;
  }

  it('sets the headers of an event stream, and no others', () => {
    const res = responseWith();

    writeHead(res, resolveSseOptions());

    expect(res.getHeaders()).toEqual({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'private, no-cache, no-store, no-transform',
      'x-accel-buffering': 'no',
    });
  });

  it('allows transformation with compress: true', () => {
    const res = responseWith();

    writeHead(res, resolveSseOptions({ compress: true }));

    expect(res.getHeader('cache-control')).toBe('private, no-cache, no-store');
  });

  it('keeps headers that were set earlier', () => {
    const before = { 'Set-Cookie': ['a=1', 'b=2'], 'Access-Control-Allow-Origin': '*' };
    const res = responseWith(before);

    writeHead(res, resolveSseOptions());

    expect(res.getHeaders()).toMatchObject({
      'set-cookie': ['a=1', 'b=2'],
      'access-control-allow-origin': '*',
    });
  });

  it('gives precedence to the headers option', () => {
    const res = responseWith({ 'X-A': 'before' });

    writeHead(
      res,
      resolveSseOptions({ headers: { 'cache-control': 'no-store', 'X-A': 'after', 'X-B': ['1', '2'] } }),
    );

    expect(res.getHeaders()).toMatchObject({
      'cache-control': 'no-store',
      'x-a': 'after',
      'x-b': ['1', '2'],
    });
  });

  it('removes a Content-Length, which would truncate the stream', () => {
    const res = responseWith({ 'Content-Length': '5' });

    writeHead(res, resolveSseOptions());

    expect(res.hasHeader('content-length')).toBe(false);
  });

  it('replaces any earlier status by 200, and writes the head', () => {
    const res = responseWith();
    res.statusCode = 201;

    writeHead(res, resolveSseOptions());

    expect(res.statusCode).toBe(200);
    expect(res.headersSent).toBe(true);
  });
});
