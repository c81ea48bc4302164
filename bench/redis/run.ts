import { writeFileSync } from 'node:fs';
import { CORES, onCore } from '../../tools/cores';
import { findProgram, isCi } from '../../tools/program';
import { RedisServer } from '../../tools/redis-server';
import { readArguments } from '../arguments';
import { machine } from '../machine';
import { startClient } from '../processes';
import { CONTENDERS } from './contenders';
import { type Faults, faultsOf, figuresOf } from './figures';
import { RedisAdmin } from './redis-admin';
import { type Row, rowsNamed } from './rows';
import { type Sample, type Setup, takeSample } from './sample';
import { faultTable, figureTable } from './table';

const MISSING =
  'bench:redis needs a real Redis, and there is no redis-server on PATH. Install it (apt install redis-server, brew install redis).';

async function main(): Promise<void> {
  const { words, rounds, json, profile } = readArguments();
  const rows = rowsNamed(words);
  const program = findProgram('redis-server');
  if (program === undefined) return skip();
  // On the client's core, so that it takes no time from the servers.
  const server = new RedisServer({ program, prefix: onCore(CORES.client) });
  await server.start();
  const redis = await RedisAdmin.connect(server.port);
  const client = await startClient('redis/client.ts');
  try {
    const title = `${machine()}; Redis ${await redis.version()}, without persistence, on the client's core`;
    console.log(`${title}\n`);
    for (const { name, about } of rows) console.log(`${name}: ${about}`);
    const samples = await takeSamples(rows, rounds, { client, redis, profileDir: profile });
    show(rows, rounds, samples);
    if (json !== undefined) writeFileSync(json, `${JSON.stringify({ machine: title, samples }, null, 2)}\n`);
  } finally {
    await client.stop();
    redis.close();
    await server.remove('SIGTERM');
  }
}

function skip(): void {
  console.error(`\nSKIPPED: ${MISSING}\n`);
  process.exitCode = isCi() ? 1 : 0;
}

/** The contenders alternate, A B C A B C …, so that a slow moment of the machine affects all of them. */
async function takeSamples(rows: readonly Row[], rounds: number, setup: Setup): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const row of rows) {
    for (let round = 1; round <= rounds; round++) {
      for (const contender of CONTENDERS) {
        showProgress(`${row.name}, round ${round} of ${rounds}: ${contender.name}`);
        samples.push(await takeSample(contender, row, round, setup));
      }
    }
  }
  showProgress('');
  return samples;
}

function show(rows: readonly Row[], rounds: number, samples: readonly Sample[]): void {
  console.log(`\n${figureTable(rows.flatMap((row) => figuresOf(row, samples)))}\n`);
  const faults = rows.flatMap((row) => faultsOf(row, samples));
  console.log(`${faultTable(faults)}\n`);
  console.log(
    `Median and range of ${rounds} interleaved rounds. CPU is that of all server processes together.`,
  );
  for (const broken of faults.filter(breaksGuarantee)) {
    console.error(
      `${broken.contender} guarantees every event once and in one order, and violated that in ${broken.row}.`,
    );
    process.exitCode = 1;
  }
}

function breaksGuarantee({ contender, lost, duplicated, late, orders }: Faults): boolean {
  const isExact = CONTENDERS.some(({ name, exact }) => exact && name === contender);
  return isExact && (lost > 0 || duplicated > 0 || late > 0 || orders > 1);
}

/** Shows the progress, if the output is a terminal. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

void main();
