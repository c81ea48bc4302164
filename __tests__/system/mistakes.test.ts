import { DocumentedApp, SECTIONS } from '../support/documented-code';

const RUNNABLE = SECTIONS.filter(({ mistake, cure }) => mistake !== undefined && cure !== undefined);

let app: DocumentedApp;
let client: AbortController;
beforeEach(() => {
  app = new DocumentedApp();
  client = new AbortController();
});
afterEach(() => {
  client.abort();
  return app.close();
});

describe('the code of docs/error-codes.md', () => {
  it.each(RUNNABLE)(
    'has its mistake reported as $code within two seconds',
    async ({ code, mistake = '' }) => {
      await app.run(mistake);
      const requests = [app.fetch(mistake, client.signal), app.fetch(mistake, client.signal)];
      requests.map((request) => request.catch(() => undefined));
      if (code === 'SSE_GENERATOR_OUTLIVES_CLIENT') await Promise.all(requests).then(() => client.abort());

      await app.has(code);
    },
  );

  it.each(RUNNABLE)('runs without an error or a warning after the cure of $code', async ({ cure = '' }) => {
    await app.run(cure);
    if (/app\.|createServer/.test(cure)) {
      const responses = await Promise.all([app.fetch(cure, client.signal), app.fetch(cure, client.signal)]);
      expect(responses.map(({ status }) => status)).toEqual([200, 200]);
    }
    client.abort();
    await app.close();

    expect(app.codes).toEqual([]);
  });
});
