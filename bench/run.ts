import { writeFileSync } from 'node:fs';
import type { Adapter } from './adapter';
import { adaptersFor, adaptersNamed, isRelevant } from './adapters';
import { readArguments } from './arguments';
import { comparisonsOf } from './comparisons';
import { costChart } from './cost-chart';
import { figuresOf } from './figures';
import { growth } from './growth/run';
import { machine } from './machine';
import { type Row, rowsNamed } from './rows';
import { checkBodies } from './same-bodies';
import { tableOf } from './table';
import { takeSamples } from './take-samples';
import { verdictsOf } from './verdicts';

async function main(): Promise<void> {
  const { words, rounds, adapters: names, json, svg, profile } = readArguments();
  if (words[0] === 'growth') return growth(machine(false), svg, json);
  const rows = rowsNamed(words);
  const adapters = adaptersNamed(names);
  const place = machine(
    rows.some((row) => adaptersFor(row, adapters).some(({ kind }) => kind === 'program')),
  );
  console.log(`${place}\n`);
  for (const { name, about } of rows) console.log(`${name}: ${about}`);
  await checkBodies(adapters, rows);
  console.log('\nAll deliver the same events. The client checks that each arrives once and in order.\n');
  const { samples, failures } = await takeSamples(rows, adapters, rounds, profile);
  const figures = rows.flatMap((row) => figuresOf(row, adapters, samples));
  console.log(`${tableOf(figures)}\n`);
  print('Targets:', [...verdictsOf(figures), ...comparisonsOf(figures)]);
  print('Failed:', failures);
  print('Not measured:', absencesOf(rows, adapters));
  console.log(`Median and range of ${rounds} interleaved rounds. CPU time is that of the servers alone.`);
  if (json !== undefined)
    writeFileSync(json, `${JSON.stringify({ machine: place, samples, failures }, null, 2)}\n`);
  if (svg !== undefined)
    writeFileSync(
      svg,
      await costChart(
        figures,
        `${place}; ${rounds === 1 ? 'one round' : `median and range of ${rounds} rounds`}`,
      ),
    );
}

function print(heading: string, lines: readonly string[]): void {
  if (lines.length > 0) console.log(`${heading}\n${lines.map((line) => `  ${line}`).join('\n')}\n`);
}

/** The adapters that cannot run a row, and why: each reason once, with its rows. */
function absencesOf(rows: readonly Row[], adapters: readonly Adapter[]): string[] {
  const absent = new Map<string, string[]>();
  for (const row of rows) {
    for (const adapter of adapters.filter((each) => isRelevant(row, each))) {
      const reason = adapter.skips?.(row);
      if (reason === undefined) continue;
      const key = `${adapter.name}: ${reason}`;
      absent.set(key, [...(absent.get(key) ?? []), row.name]);
    }
  }
  return [...absent].map(([reason, names]) => `${reason} (${names.join(', ')})`);
}

void main();
