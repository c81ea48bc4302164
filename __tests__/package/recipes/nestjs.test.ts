import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { openStream } from '../../../lib/testing';
import { freePort } from '../../../tools/free-port';
import { type DemoProcess, endDemos, runDemo } from '../../support/demo';

let nest: DemoProcess;
let url: string;

beforeAll(async () => {
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const env = { PORT: `${port}`, TSX_TSCONFIG_PATH: 'docs/nestjs/tsconfig.json' };
  nest = runDemo('docs/nestjs/main.mts', env);
  while (!(await fetch(url).then(isAnswered, () => false))) {
    if (nest.child.exitCode !== null) throw new Error(nest.stderr);
    await sleep(20);
  }
});

afterAll(() => endDemos('SIGKILL'));

async function isAnswered(response: Response): Promise<boolean> {
  await response.text();
  return true;
}

it('docs/nestjs compiles with decorators', async () => {
  const compiled = promisify(execFile)(process.execPath, [
    require.resolve('typescript/bin/tsc'),
    '--project',
    'docs/nestjs',
  ]);

  await expect(compiled).resolves.toEqual({ stdout: '', stderr: '' });
});

describe('docs/nestjs/main.mts', () => {
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
