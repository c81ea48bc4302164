import type { EventLog } from 'express-yield';

const PAGE = 1_000;

/** The data of a log's last event: how far another process, or an earlier one, has got. */
export async function lastOf<Data>(log: EventLog): Promise<Data | undefined> {
  let last: Data | undefined;
  for (let after = ''; ; ) {
    const { entries } = await log.read(after, PAGE);
    const entry = entries.at(-1);
    if (entry === undefined) return last;
    after = entry.id;
    last = JSON.parse(entry.record.data);
  }
}
