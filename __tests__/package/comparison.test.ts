import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { releaseApps } from '../support/comparison/apps';
import { betterSse } from '../support/comparison/better-sse';
import type { Contender, Topic } from '../support/comparison/contender';
import { expressSse } from '../support/comparison/express-sse';
import { expressYield } from '../support/comparison/express-yield';
import { fastifySse } from '../support/comparison/fastify-sse';
import { FAULTY } from '../support/comparison/faulty';
import { hono } from '../support/comparison/hono';
import { PROBES, releaseClients } from '../support/comparison/probes';
import {
  cellsIn,
  type Mark,
  MEASURED,
  PACKAGES,
  type PackageName,
  rows,
  SAID,
  versionOf,
} from '../support/comparison/table';

const CONTENDERS: Readonly<Record<PackageName, Contender>> = {
  'express-yield': expressYield,
  'better-sse': betterSse,
  '@fastify/sse': fastifySse,
  'express-sse': expressSse,
  hono,
};

/** The version of each package, and of its server if that is not Express. */
const VERSIONS: Readonly<Record<PackageName, string>> = {
  'express-yield': '',
  'better-sse': versionOf('better-sse'),
  '@fastify/sse': `${versionOf('@fastify/sse')} on fastify ${versionOf('fastify')}`,
  'express-sse': versionOf('express-sse'),
  hono: `${versionOf('hono')} on @hono/node-server ${versionOf('@hono/node-server')}`,
};

const REAL = ['nextTick', 'setImmediate', 'clearImmediate', 'queueMicrotask', 'performance', 'Date'] as const;

beforeEach(() => {
  // No test waits for real time, and an interval that a package leaks must not keep this process alive.
  jest.useFakeTimers({ doNotFake: [...REAL] });
  // Hono logs errors of callbacks there.
  jest.spyOn(console, 'error').mockImplementation(() => undefined);
});

afterEach(async () => {
  await releaseClients();
  await releaseApps();
  jest.restoreAllMocks();
  jest.useRealTimers();
});

/** Finds out by running it what a package supports: as documented, otherwise by hand. */
async function markOf(topic: Topic, name: PackageName): Promise<Mark> {
  const ways = CONTENDERS[name][topic];
  if (ways === 'not applicable') return '–';
  if (ways.plain !== undefined && (await PROBES[topic](ways.plain))) return 'yes';
  if (ways.byHand !== undefined && (await PROBES[topic](ways.byHand))) return 'by hand';
  return 'no';
}

describe.each(MEASURED)('%s: %s', (topic, _what, marks) => {
  it.each(PACKAGES.map((name, index) => [name, VERSIONS[name], marks[index]] as const))(
    '%s %s: %s',
    async (name, _version, mark) => {
      expect(await markOf(topic, name)).toBe(mark);
    },
  );
});

describe('sendsJson: text with any line endings arrives as JSON', () => {
  it.each(PACKAGES.map((name) => [name, VERSIONS[name]] as const))('%s %s: yes', async (name) => {
    expect(await markOf('sendsJson', name)).toBe('yes');
  });
});

it.each(FAULTY)('%s: an implementation that %s does not pass', async (topic, _fault, build) => {
  expect(await PROBES[topic](build)).toBe(false);
});

it.each(Object.entries(SAID))('%s documents this in its README', (name, { words }) => {
  const readme = readFileSync(join(__dirname, '../../node_modules', name, 'README.md'), 'utf8');

  expect(words.filter((word) => !readme.includes(word))).toEqual([]);
});

const README = readFileSync(join(__dirname, '../../README.md'), 'utf8');
const HEADING = '\n## Compared with others\n';

it('the README contains this table', () => {
  const [, from = ''] = README.split(HEADING);
  const [section = ''] = from.split('\n## ');

  expect(cellsIn(section)).toEqual(rows());
});
