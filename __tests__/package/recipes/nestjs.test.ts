import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { openStream } from '../../../lib/testing';
import { freePort } from '../../../tools/free-port';
import { type DemoProcess, endDemos, runDemo } from '../../support/demo';

/** The versions of Nest, each with a configuration for `tsx` and the compiler that leads to it. */
const VERSIONS = [
  { version: 11, project: '__tests__/system/servers/nestjs11.tsconfig.json' },
  { version: 12, project: 'docs/nestjs/tsconfig.json' },
];

async function isAnswered(response: Response): Promise<boolean> {
  await response.text();
  return true;
}

describe.each(VERSIONS)('docs/nestjs/main.mts on NestJS $version', ({ version, project }) => {
  let nest: DemoProcess;
  let url: string;

  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    nest = runDemo('docs/nestjs/main.mts', { PORT: `${port}`, TSX_TSCONFIG_PATH: project });
    while (!(await fetch(url).then(isAnswered, () => false))) {
      if (nest.child.exitCode !== null) throw new Error(nest.stderr);
      await sleep(20);
    }
  });

  afterAll(() => endDemos('SIGKILL'));

  it('compiles with decorators, and runs on this version', async () => {
    const tsc = [require.resolve('typescript/bin/tsc'), '--project', project];
    const { stdout } = await promisify(execFile)(process.execPath, [...tsc, '--listFilesOnly']);
    const manifest = stdout.match(/.*@nestjs\/core\//)?.[0] ?? '';

    expect(JSON.parse(await readFile(`${manifest}package.json`, 'utf8')).version).toMatch(`${version}.`);
    await expect(promisify(execFile)(process.execPath, tsc)).resolves.toEqual({ stdout: '', stderr: '' });
  });

  it('streams a generator from a controller, with the parameter of its route', async () => {
    const stream = await openStream(url, '/jobs/7');

    expect(await stream.next()).toMatchObject({ type: 'progress', data: '{"id":"7","percent":0}' });
    expect(await stream.ended()).toMatch(/event: end\nid: ~end\ndata: done\n\n$/);
    await stream.close();
  });

  it('responds with the 404 of Nest to an exception before the first value', async () => {
    const response = await fetch(`${url}/jobs/0`, { headers: { Accept: 'text/event-stream' } });

    expect([response.status, await response.json()]).toEqual([
      404,
      { message: 'Not Found', statusCode: 404 },
    ]);
  });

  it('responds with the 403 of a guard, and starts no generator', async () => {
    const response = await fetch(`${url}/jobs/7?token=expired`, { headers: { Accept: 'text/event-stream' } });

    expect([response.status, await response.json()]).toEqual([
      403,
      { message: 'Forbidden resource', error: 'Forbidden', statusCode: 403 },
    ]);
  });

  it('responds with what an exception filter sends', async () => {
    const response = await fetch(`${url}/jobs/1`, { headers: { Accept: 'text/event-stream' } });

    expect([response.status, await response.json()]).toEqual([429, { message: 'Try again tomorrow' }]);
  });

  it('streams a channel, and resumes it', async () => {
    const stream = await openStream(url, '/prices');
    await fetch(`${url}/prices/ACME/1`, { method: 'POST' }).then(isAnswered);
    expect(await stream.next()).toMatchObject({ data: '{"symbol":"ACME","price":1}' });

    stream.drop();
    await fetch(`${url}/prices/ACME/2`, { method: 'POST' }).then(isAnswered);
    await stream.reconnect();

    expect(await stream.next()).toMatchObject({ data: '{"symbol":"ACME","price":2}' });
    await stream.close();
  });

  it('ends its streams and exits on SIGTERM', async () => {
    const stream = await openStream(url, '/prices');
    await stream.untilText('id: ');

    nest.child.kill('SIGTERM');

    await stream.ended();
    await stream.close();
    expect([await nest.exited, nest.stderr]).toEqual([[null, 'SIGTERM'], '']);
  });
});
