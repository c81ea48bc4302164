import type { Adapter } from './adapter';
import { adaptersFor } from './adapters';
import { startClient } from './processes';
import type { Row } from './rows';
import { type Sample, takeSample } from './sample';

export interface Taken {
  readonly samples: readonly Sample[];
  /** Failures, a line each: servers that exited, events that were lost. */
  readonly failures: readonly string[];
}

/** The adapters alternate, A B C A B C …, so that a slow moment of the machine affects all of them. */
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
    // An adapter that has failed would fail again, which can take a minute.
    const failed = new Set<Adapter>();
    for (let round = 1; round <= rounds; round++) {
      for (const adapter of adaptersFor(row, adapters).filter((each) => !failed.has(each))) {
        showProgress(`${row.name}, round ${round} of ${rounds}: ${adapter.name}`);
        try {
          samples.push(await takeSample(adapter, row, round, client, profileDir));
        } catch (error) {
          failed.add(adapter);
          failures.push(`${row.name}, ${adapter.name}: ${(error as Error).message}`);
          // The client may still have open streams.
          await client.stop();
          client = await startClient('client.ts');
        }
      }
    }
  }
  showProgress('');
  await client.stop();
  return { samples, failures };
}

/** Shows the progress, if the output is a terminal. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
