import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ClientRow, EVENT_SOURCES, FETCH_CLIENTS, tableOf } from './support/table';

const TESTS = join(__dirname, '../..');
const PAGE = readFileSync(join(TESTS, '../docs/clients.md'), 'utf8');

const TABLES = [
  { heading: '## Clients that reconnect', rows: EVENT_SOURCES },
  { heading: '## Clients that read one response', rows: FETCH_CLIENTS },
];

/** The first table after a heading of the page. */
function tableAfter(heading: string): string {
  const lines = PAGE.slice(PAGE.indexOf(`${heading}\n`)).split('\n');
  const begin = lines.findIndex((line) => line.startsWith('|'));
  const length = lines.slice(begin).findIndex((line) => !line.startsWith('|'));
  return lines.slice(begin, begin + length).join('\n');
}

function sourceOf({ test: [file] }: ClientRow): string {
  const path = join(TESTS, `${file}.ts`);
  return readFileSync(file.startsWith('support/') ? path : path.replace(/\.ts$/, '.test.ts'), 'utf8');
}

describe('docs/clients.md', () => {
  afterAll(() => {
    process.stdout.write(`\n${TABLES.map(({ rows }) => tableOf(rows)).join('\n\n')}\n\n`);
  });

  it.each(TABLES)('has the table of "$heading", with the installed versions', ({ heading, rows }) => {
    expect(tableAfter(heading)).toBe(tableOf(rows));
  });

  it.each([...EVENT_SOURCES, ...FETCH_CLIENTS])('names only tested clients: $client', (row) => {
    const [, ...names] = row.test;

    expect(names.filter((name) => !sourceOf(row).includes(name))).toEqual([]);
  });
});
