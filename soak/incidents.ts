import { inspect } from 'node:util';

/** The message of intended errors; any other error is an incident. */
export const ON_PURPOSE = 'on purpose';

/** How many incidents are kept; a run with more has failed anyway. */
const MOST = 50;

/** Unexpected errors and warnings in this process. */
export class Incidents {
  #texts: string[] = [];
  count = 0;

  /** Also collects unhandled errors and warnings of this process. */
  watchProcess(): void {
    process.on('unhandledRejection', (error) => this.add(`unhandledRejection ${inspect(error)}`));
    process.on('uncaughtException', (error) => this.add(`uncaughtException ${inspect(error)}`));
    process.on('warning', (warning) => {
      // A run that fails without a subscriber must cause a warning.
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
