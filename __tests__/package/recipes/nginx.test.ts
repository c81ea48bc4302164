import { describeSetup, Field, releaseFields } from '../../support/field';
import { Matrix } from '../../support/field-matrix';
import { aborted } from '../../support/gate';
import { describeWithCommand } from '../../support/proxy';
import { recipeNginx } from '../../support/recipe-proxy';

const matrix = new Matrix('docs/nginx.conf');
const SETUP = { name: 'HTTP/2', proxy: recipeNginx, http2: true };

afterEach(releaseFields);

describeWithCommand('nginx', 'the recipe for nginx', () => {
  afterAll(() => matrix.print());

  describeSetup(SETUP, matrix);

  it('supports more streams than the default limit of 512 connections', async () => {
    const field = await Field.start(SETUP, (app) => {
      app.get('/', async function* (_req, res) {
        yield 'here';
        await aborted(res.sse.signal);
      });
    });

    let open = 0;
    // Not all at a time: the TLS handshakes of 600 clients take this process and nginx seconds of CPU time.
    while (open < 600) {
      const streams = await Promise.all(Array.from({ length: 50 }, () => field.open('/')));
      const events = await Promise.all(streams.map((stream) => stream.next()));
      open += events.filter(({ data }) => data === 'here').length;
    }

    expect([open, field.server.sse.size]).toEqual([600, 600]);
  });
});
