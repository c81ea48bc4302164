import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { BUN, DENO } from '../../tools/runtimes';
import { SERVER_KINDS } from '../system/servers/support/server-kinds';
import { ROOT } from './demo';
import { TYPE_SETUPS, type TypeSetup } from './type-project';

/** The servers that CI installs from Debian. Their versions are compared with the installed ones in CI only. */
export const DEBIAN = { redis: '7.0', postgresql: '15' };

interface Workflow {
  readonly jobs: {
    readonly systems: { readonly strategy: { readonly matrix: { readonly node: number[] } } };
  };
}

interface Manifest {
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** The table of the README: what the suites use, and its versions. */
export function compatibilityTable(): string {
  const rows = [
    ['Node', nodeVersions().join(', ')],
    ['Bun · Deno', `${shortened(BUN.version)} · ${shortened(DENO.version)}`],
    ['Express', serversOf('Express')],
    ['Other servers', ['connect', 'NestJS', 'functions-framework', 'Fastify'].map(serversOf).join(', ')],
    [
      'TypeScript',
      `${typesOf('typescript')}; \`@types/express\` ${typesOf('express')}; \`@types/node\` ${typesOf('node')}`,
    ],
    ['Browsers', 'Chromium'],
    ['Redis', `${DEBIAN.redis}, with \`redis\` ${majorOf('redis')} or \`ioredis\` ${majorOf('ioredis')}`],
    ['PostgreSQL', `${DEBIAN.postgresql}, with \`pg\` ${majorOf('pg')}`],
  ];
  return ['| | CI runs the tests on |', '| --- | --- |', ...rows.map((row) => `| ${row.join(' | ')} |`)].join(
    '\n',
  );
}

function nodeVersions(): number[] {
  const text = readFileSync(join(ROOT, '.github/workflows/ci.yml'), 'utf8');
  return (parse(text) as Workflow).jobs.systems.strategy.matrix.node;
}

/** The names of the servers that begin with a word, which the names share: `NestJS 11, 12`. */
function serversOf(word: string): string {
  const names = SERVER_KINDS.map(({ name }) => name).filter((name) => name.startsWith(word));
  const versions = names.map((name) => name.slice(word.length + 1));
  return word === 'Express' ? versions.join(', ') : `${word} ${versions.join(' and ')}`;
}

function typesOf(column: keyof TypeSetup): string {
  return [...new Set(TYPE_SETUPS.map((setup) => setup[column]))]
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .join(', ');
}

function majorOf(name: string): string {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
  const [, major] = /^\^(\d+)\./.exec(devDependencies[name] ?? '') ?? [];
  if (major === undefined) throw new Error(`Expected package.json to name a version of ${name}.`);
  return major;
}

function shortened(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}
