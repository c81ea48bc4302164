import type { Adapter } from './adapter';
import { adaptersFor } from './adapters';
import { startClient } from './processes';
import type { Row } from './rows';
import { type Sample, takeSample } from './sample';

export interface Taken {
  readonly samples: readonly Sample[];
  /** What went wrong, a line each: servers that died, events that were lost. */
  readonly failures: readonly string[];
}

/** The adapters take turns, A B C A B C …, so that a slow moment of the machine meets them all. */
export async function takeSamples(
  rows: readonly Row[],
  adapters: readonly Adapter[],
  rounds: number,
  profileDir?: string,
): Promise<Taken> {
  const samples: Sample[] = [];
  const failures: string[] = [];
  let client = await startClient('client.ts');
  for (const row of rows) {
    // Who has failed would fail again, and some take a minute to.
    const failed = new Set<Adapter>();
    for (let round = 1; round <= rounds; round++) {
      for (const adapter of adaptersFor(row, adapters).filter((each) => !failed.has(each))) {
        tell(`${row.name}, round ${round} of ${rounds}: ${adapter.name}`);
        try {
          samples.push(await takeSample(adapter, row, round, client, profileDir));
        } catch (error) {
          failed.add(adapter);
          failures.push(`${row.name}, ${adapter.name}: ${(error as Error).message}`);
          // This one may have streams left.
          await client.stop();
          client = await startClient('client.ts');
        }
      }
    }
  }
  tell('');
  await client.stop();
  return { samples, failures };
}

/** What is going on, for who waits at a terminal. */
function tell(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
