import { describeSetup, releaseFields } from '../../support/field';
import { Matrix } from '../../support/field-matrix';
import { describeWithCommand } from '../../support/proxy';
import { recipeCaddy } from '../../support/recipe-proxy';

const matrix = new Matrix('docs/caddy.Caddyfile');

afterEach(releaseFields);

describeWithCommand('caddy', 'the recipe for Caddy', () => {
  afterAll(() => matrix.print());

  describeSetup({ name: 'HTTP/2', proxy: recipeCaddy, http2: true }, matrix);

  describeSetup(
    {
      name: 'a client that accepts gzip',
      proxy: recipeCaddy,
      http2: true,
      headers: { 'Accept-Encoding': 'gzip' },
    },
    matrix,
  );
});
