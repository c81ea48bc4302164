import type { Express } from 'express';
import { describeSetup, Field, releaseFields } from '../../support/field';
import { Matrix } from '../../support/field-matrix';
import { Gate } from '../../support/gate';
import { haproxy } from '../../support/haproxy';
import { describeWithCommand } from '../../support/proxy';

// With the defaults of HAProxy, each event is 200 ms late.
const GZIP = { 'Accept-Encoding': 'gzip' };
const matrix = new Matrix('HAProxy');

afterEach(releaseFields);

describeWithCommand('haproxy', 'behind HAProxy', () => {
  afterAll(() => matrix.print());

  describeSetup({ name: 'HAProxy, defaults, HTTP/1.1', proxy: haproxy(), reportsLate: true }, matrix);

  describeSetup(
    { name: 'HAProxy, defaults, HTTP/2', proxy: haproxy({ http2: true }), http2: true, reportsLate: true },
    matrix,
  );

  describeSetup({ name: 'HAProxy, advised, HTTP/1.1', proxy: haproxy({ isAdvised: true }) }, matrix);

  describeSetup(
    { name: 'HAProxy, advised, HTTP/2', proxy: haproxy({ isAdvised: true, http2: true }), http2: true },
    matrix,
  );

  // HAProxy respects `no-transform` and does not compress the stream.
  describeSetup(
    {
      name: 'HAProxy, advised, compression',
      proxy: haproxy({ isAdvised: true, compression: true }),
      headers: GZIP,
    },
    matrix,
  );

  it('delays the end of an event that it may compress because of `compress: true`', async () => {
    const gate = new Gate();
    const setup = { name: '', proxy: haproxy({ isAdvised: true, compression: true }), headers: GZIP };
    const build = (app: Express) => {
      app.get('/', async function* () {
        yield 'first';
        await gate.promise;
      });
      app.get('/ping', (_req, res) => void res.end('pong'));
    };
    const field = await Field.start(setup, build, { compress: true });
    const stream = await field.open('/');

    await stream.untilText('data: first');
    for (let n = 0; n < 20; n++) await (await field.open('/ping')).ended();

    expect(stream.text).not.toContain('\n\n');
    gate.open();
    expect(await stream.next()).toMatchObject({ data: 'first' });
  });
});
