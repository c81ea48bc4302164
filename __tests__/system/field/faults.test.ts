import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import express, { type Request, type Response } from 'express';
import { createSse, sse } from '../../../lib';
import { openStream } from '../../../lib/testing';
import { HandlerServer } from '../../support/handler';
import { releaseAll, serve } from '../../support/serve';
import { WarningCollector } from '../../support/warnings';

afterEach(releaseAll);

const ROOT = join(__dirname, '../../..');
const END = 'event: end\nid: ~end\ndata: null\n\n';

async function* one() {
  yield 1;
}

function page(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8').replace(/\s+/g, ' ');
}

it('A: troubleshooting has a row for a process that ends with the rejection of a publish()', async () => {
  const channel = `const channel = new (require('./dist/index.js').Channel)();`;

  await expect(outputOf(`${channel} channel.publish(undefined);`)).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining("code: 'ERR_SSE_INVALID_DATA'"),
  });
  expect(
    await outputOf(`${channel} channel.publish(undefined).catch(({ code }) => console.log(code));`),
  ).toBe('ERR_SSE_INVALID_DATA\n');
  expect(page('docs/troubleshooting.md')).toMatch(
    /\| the process ends with an unhandled rejection that has the code `ERR_SSE_INVALID_DATA` \| [^|]*`publish\(\)`[^|]*\| [^|]*`\.catch\(\)`/,
  );
});

it('B12: README and the pages claim nothing of clients beyond the tables, which name those that do not stop at a 204', () => {
  const pages = readdirSync(join(ROOT, 'docs')).filter((file) => file.endsWith('.md'));
  const claims = ['README.md', ...pages.map((file) => `docs/${file}`)].flatMap((file) =>
    [
      ...page(file).matchAll(
        /(no|without) (client|browser) code|(every|any|all) `?EventSource`?s? (stops?|reconnects?|works?)/gi,
      ),
    ].map(([claim]) => `${file}: ${claim}`),
  );

  expect(claims).toEqual([]);
  expect(page('README.md')).toContain('[other clients](docs/clients.md) may need one line');
  for (const client of ['htmx', 'react-native-sse']) {
    expect(page('README.md')).toMatch(new RegExp(`\\| \`?${client}\`? \\| [^|]*(sse-close|close\\(\\))`));
  }
});

/** Code in a process of its own, because the warnings of Node do not reach a test. @returns its output */
async function outputOf(code: string): Promise<string> {
  const script = `
    const express = require('express');
    const { sse } = require('./dist/index.js');
    process.on('warning', ({ name, message }) => console.log(name, message));
    ${code}`;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['-e', script], { cwd: ROOT });
  return stdout + stderr;
}

/** 45 waits of three kinds. */
const WAITS = `(signal) =>
  Array.from({ length: 15 }, () => [
    require('node:timers/promises').setTimeout(60_000, undefined, { signal }),
    require('node:events').once(new (require('node:events').EventEmitter)(), 'never', { signal }),
    new Promise((resolve) => signal.addEventListener('abort', resolve)),
  ]).flat()`;

it('C5: 45 awaits with the signal of a stream cause no warning of too many listeners', async () => {
  const output = await outputOf(`
    const app = express().use(sse());
    app.get('/', async function* (req, res) {
      const { signal } = res.sse;
      const waits = (${WAITS})(signal);
      yield 'waiting';
      await Promise.allSettled(waits);
      console.log('released', signal.reason.code);
      setImmediate(() => process.exit());
    });
    const server = app.listen(0, async () => {
      const { body } = await fetch('http://127.0.0.1:' + server.address().port);
      const reader = body.getReader();
      await reader.read();
      await reader.cancel();
    });`);

  expect(output).toBe('released ERR_SSE_CLIENT_LEFT\n');
});

it('C5: 45 awaits with the signal of a run cause no warning of too many listeners', async () => {
  const output = await outputOf(`
    const { Channel } = require('./dist/index.js');
    const run = Channel.from(async function* ({ signal }) {
      const waits = (${WAITS})(signal);
      yield 'waiting';
      await Promise.allSettled(waits);
      console.log('released', signal.aborted);
      setImmediate(() => process.exit());
    });
    run.subscribe().next().then(() => run.close());`);

  expect(output).toBe('released true\n');
});

describe('C9: a res.sse of Express itself', () => {
  it.each<[string, PropertyDescriptor]>([
    ['a method', { value: () => undefined, writable: true, configurable: true }],
    ['a method that cannot be replaced', { value: () => undefined }],
    ['a getter', { get: () => () => undefined }],
  ])('is shadowed where an sse() applies: %s', async (_kind, descriptor) => {
    const app = express();
    Object.defineProperty(app.response, 'sse', descriptor);
    const own = async function* (_req: Request, res: Response) {
      yield [typeof res.sse.lastEventId, res.sse.signal.aborted];
    };
    app.get('/wrapped', sse(own)).use(sse()).get('/', own);

    for (const path of ['/', '/wrapped']) {
      const client = await openStream(app, path);
      expect(await client.ended()).toBe(`data: ["string",false]\n\n${END}`);
      await client.close();
    }
  });

  it('is kept for the routes of an app without an sse()', async () => {
    const app = express();
    Object.assign(app.response, { sse: () => 'of Express' });
    app.get('/', (_req, res) => {
      res.send((res as unknown as { sse(): string }).sse());
    });

    const client = await openStream(app);

    expect(await client.ended()).toBe('of Express');
    await client.close();
  });
});

describe('E14: a client that accepts no event stream', () => {
  const Accept = `text/event-stream;q=0, text/${'x'.repeat(14_000)}`;

  it('is answered by an error that does not repeat its Accept header', async () => {
    const server = await serve((app) => app.get('/', one));

    const client = await server.openStream('/', { headers: { Accept } });

    expect([client.status, server.errors]).toEqual([
      406,
      [expect.objectContaining({ code: 'ERR_SSE_NOT_ACCEPTABLE' })],
    ]);
    expect(String(server.errors[0]).length).toBeLessThan(400);
  });

  it('causes no warning on a server without an error handler', async () => {
    const warnings = new WarningCollector();
    const server = await HandlerServer.start(createSse()(one));

    const client = await server.openStream('/', { headers: { Accept } });

    expect([client.status, await client.ended()]).toEqual([406, '']);
    await server.close();
    warnings.stop();
    expect(warnings.all).toEqual([]);
  });
});

it('E18: README, the recipe for auth and the reference say that `replay: false` and filters are no access control', () => {
  const pages = ['README.md', 'docs/auth.md', 'docs/api/express-yield.md'];
  const wanted = [
    /no access control/i,
    /made[- ]up|makes up/,
    /ids .{0,40} show how many/,
    /a channel for each audience/i,
  ];

  const missing = pages.flatMap((file) => wanted.filter((each) => !each.test(page(file))).map(String));

  expect(missing).toEqual([]);
});
