import { setImmediate } from 'node:timers/promises';
import { type OpenedStream, openStream } from '../../../lib/testing';
import { installedVersions, SERVER_KINDS, type TourServer } from './support/server-kinds';
import { ServerTour } from './support/server-tour';

describe.each(SERVER_KINDS)('$name', (kind) => {
  const tour = new ServerTour();
  const streams: OpenedStream[] = [];
  let server: TourServer;

  beforeAll(async () => {
    server = await kind.start(tour);
  });

  afterEach(async () => {
    for (const stream of streams.splice(0)) await stream.close();
    while (tour.sse.size > 0 || tour.prices.size > 0) await setImmediate();
  });

  async function open(path: string): Promise<OpenedStream> {
    const stream = await openStream(server.url, path);
    streams.push(stream);
    return stream;
  }

  async function statusAndBody(path: string): Promise<[status: number, body: string]> {
    const response = await fetch(`${server.url}${path}`, { headers: { Accept: 'text/event-stream' } });
    return [response.status, await response.text()];
  }

  it('has the versions of its name', () => {
    expect(installedVersions(kind)).toEqual(
      kind.packages.map(([, version]) => expect.stringMatching(`^${version.replaceAll('.', '\\.')}`)),
    );
  });

  describe.each(kind.middleware === 'streams' ? ['/wrapped', '/plain'] : ['/wrapped'])('below %s', (base) => {
    it('streams a generator with keep-alives, and runs finally when the client disconnects', async () => {
      const stream = await open(`${base}/waiting`);
      await stream.untilText(': keep-alive\n\n');
      expect(stream.text).toMatch(/^data: first\n\n/);
      expect(stream.headers['content-type']).toBe('text/event-stream; charset=utf-8');

      stream.drop();

      while (tour.sse.size > 0) await setImmediate();
      expect(tour.ends.splice(0)).toEqual(['ERR_SSE_CLIENT_LEFT']);
    });

    it('responds with the status of an error that is thrown before the first value', async () => {
      const [status] = await statusAndBody(`${base}/denied`);

      expect([status, tour.sse.size]).toEqual([401, 0]);
    });

    it('delivers the values before a later error, and ends the response', async () => {
      const stream = await open(`${base}/broken`);

      expect(await stream.ended()).toBe('data: first\n\n');
    });

    it('streams a channel, and resumes it without loss or duplicates', async () => {
      const stream = await open(`${base}/prices`);
      while (tour.prices.size === 0) await setImmediate();
      await tour.prices.publish(1);
      expect(await stream.next()).toMatchObject({ data: '1' });

      stream.drop();
      while (tour.prices.size > 0) await setImmediate();
      await tour.prices.publish(2);
      await stream.reconnect();
      await tour.prices.publish(3);

      expect(await stream.take(2)).toMatchObject([{ data: '2' }, { data: '3' }]);
    });
  });

  if (kind.middleware === 'refuses') {
    it('reports ERR_SSE_EXPRESS_VERSION for app.use(sse())', async () => {
      expect(await statusAndBody('/plain/waiting')).toEqual([500, '{"code":"ERR_SSE_EXPRESS_VERSION"}']);
    });
  }

  it('ends its streams with sse.close(), and then the server closes', async () => {
    const stream = await open('/wrapped/waiting');
    await stream.next();

    const closed = server.close();
    await tour.sse.close({ spreadMs: 0, graceMs: 0 });
    await stream.ended();
    await closed;

    expect([tour.sse.size, tour.ends.splice(0)]).toEqual([0, ['ERR_SSE_CLOSING']]);
  });
});
