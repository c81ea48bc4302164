import { writeFileSync } from 'node:fs';
import { ADAPTERS, adaptersFor } from './adapters';
import { readArguments } from './arguments';
import { Child, CORES } from './child';
import { comparisonsOf } from './comparisons';
import { figuresOf } from './figures';
import { machine } from './machine';
import { type Row, rowsNamed } from './rows';
import { checkBodies } from './same-bodies';
import { type Sample, takeSample } from './sample';
import { tableOf } from './table';

async function main(): Promise<void> {
  const { words, rounds, json, profile } = readArguments();
  const rows = rowsNamed(words);
  console.log(`${machine()}\n`);
  for (const { name, about } of rows) console.log(`${name}: ${about}`);
  await checkBodies(ADAPTERS, rows);
  console.log(
    '\nAll adapters send the same bodies. The client checks that each event comes once and in order.\n',
  );
  const samples = await takeSamples(rows, rounds, profile);
  const figures = rows.flatMap((row) => figuresOf(row, samples));
  console.log(`${tableOf(figures)}\n`);
  for (const line of comparisonsOf(figures)) console.log(line);
  console.log(`Median and range of ${rounds} interleaved rounds. CPU is the server process's own.`);
  if (json !== undefined)
    writeFileSync(json, `${JSON.stringify({ machine: machine(), samples }, null, 2)}\n`);
}

/** The adapters take turns, A B C A B C …, so that a slow moment of the machine meets them all. */
async function takeSamples(rows: readonly Row[], rounds: number, profileDir?: string): Promise<Sample[]> {
  const { child: client } = await Child.start('client.ts', CORES.client);
  const samples: Sample[] = [];
  for (const row of rows) {
    for (let round = 1; round <= rounds; round++) {
      for (const adapter of adaptersFor(row.route)) {
        tell(`${row.name}, round ${round} of ${rounds}: ${adapter.name}`);
        samples.push(await takeSample(adapter, row, round, client, profileDir));
      }
    }
  }
  tell('');
  await client.stop();
  return samples;
}

/** What is going on, for who waits at a terminal. */
function tell(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

void main();
