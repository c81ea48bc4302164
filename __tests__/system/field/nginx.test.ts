import { describeSetup, Field, releaseFields } from '../../support/field';
import { Curl } from '../../support/field-curl';
import { Matrix } from '../../support/field-matrix';
import { Gate } from '../../support/gate';
import { nginx } from '../../support/nginx';
import { describeWithCommand } from '../../support/proxy';

const GZIP = { 'Accept-Encoding': 'gzip' };
const matrix = new Matrix('nginx');

afterEach(releaseFields);

describeWithCommand('nginx', 'behind nginx', () => {
  afterAll(() => matrix.print());

  describeSetup({ name: 'nginx, HTTP/1.1', proxy: nginx() }, matrix);

  describeSetup({ name: 'nginx, nothing but `proxy_pass`', proxy: nginx({ isBare: true }) }, matrix);

  describeSetup({ name: 'nginx, HTTP/2', proxy: nginx({ http2: true }), http2: true }, matrix);

  // nginx ignores `no-transform`. With buffering off, it sends the compressed bytes after each read.
  describeSetup(
    {
      name: 'nginx with gzip',
      proxy: nginx({ gzip: true }),
      headers: GZIP,
      head: { 'content-encoding': 'gzip' },
    },
    matrix,
  );

  describeSetup(
    {
      name: 'nginx with gzip, HTTP/2',
      proxy: nginx({ gzip: true, http2: true }),
      http2: true,
      headers: GZIP,
      head: { 'content-encoding': 'gzip' },
    },
    matrix,
  );

  describeWithCommand('curl', 'curl --http2', () => {
    it('prints each event before the next one is yielded', async () => {
      const gates = Array.from({ length: 10 }, () => new Gate());
      const field = await Field.start({ name: 'curl', proxy: nginx({ http2: true }) }, (app) => {
        app.get('/', async function* () {
          for (const [n, gate] of gates.entries()) {
            yield n;
            await gate.promise;
          }
        });
      });
      const curl = await Curl.open('--http2', '--insecure', '--include', field.url);

      for (const [n, gate] of gates.entries()) {
        await curl.until(`data: ${n}\n\n`);
        gate.open();
      }
      const output = await curl.ended();

      expect(output).toMatch(/^HTTP\/2 200/);
      expect(output).not.toMatch(/^connection:/im);
    });
  });
});
