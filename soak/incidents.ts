import { inspect } from 'node:util';

/** What faults on purpose throw; all else is an incident. */
export const ON_PURPOSE = 'on purpose';

/** So many are kept; a soak that has more has failed anyway. */
const MOST = 50;

/** What should not have happened in this process, since the last look. */
export class Incidents {
  #texts: string[] = [];
  count = 0;

  /** Also hears of what nobody else does. */
  watchProcess(): void {
    process.on('unhandledRejection', (error) => this.add(`unhandledRejection ${inspect(error)}`));
    process.on('uncaughtException', (error) => this.add(`uncaughtException ${inspect(error)}`));
    process.on('warning', (warning) => {
      // A run that fails while nobody watches it is warned of, as it should be.
      if (!warning.message.includes(ON_PURPOSE)) this.add(`warning ${warning.stack}`);
    });
  }

  add(text: string): void {
    this.count++;
    if (this.#texts.length < MOST) this.#texts.push(text);
  }

  take(): string[] {
    return this.#texts.splice(0);
  }
}
