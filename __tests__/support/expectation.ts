import type { Gap } from '../../lib';

/** What a client gets, as far as it matters for what must come next. */
export interface Received {
  readonly type: string | undefined;
  readonly id: string | undefined;
  readonly data: unknown;
}

/**
 * What one browser must get of a channel of the numbers 0, 1, 2 …, over all of its connections: each once and in order,
 * or a `gap` first. Keeps its last event ID, as a browser does.
 */
export class Expectation {
  lastEventId = '';
  /** The number that must come next. */
  next = 0;
  readonly #isWanted: (number: number) => boolean;
  /** What was said to be missing in front of it. */
  #gap: Gap | undefined;

  /** @param isWanted the filter of the client's route */
  constructor(isWanted: (number: number) => boolean = () => true) {
    this.#isWanted = isWanted;
    this.startAt(0);
  }

  /** A newcomer's place: nothing before this number is owed to it. */
  startAt(number: number): void {
    this.next = number;
    while (!this.#isWanted(this.next)) this.next++;
  }

  /** A connection ends; a gap of which nothing came belongs to it. */
  onDisconnect(): void {
    this.#gap = undefined;
  }

  /** @throws if that was not what must come */
  take({ type, id, data }: Received): void {
    if (type === 'gap') return this.#onGap(data as Gap);
    const number = data as number;
    if (this.#gap === undefined && number !== this.next)
      throw new Error(`Expected ${this.next}, got ${number}.`);
    if (this.#gap !== undefined) this.#checkGap(this.#gap, number, id);
    this.#gap = undefined;
    this.startAt(number + 1);
    this.lastEventId = id ?? '';
  }

  #onGap(gap: Gap): void {
    if (this.lastEventId !== '' && gap.lastEventId !== this.lastEventId) {
      throw new Error(`Expected a gap after '${this.lastEventId}', got one after '${gap.lastEventId}'.`);
    }
    this.#gap = gap;
  }

  /** It names what comes next; a filter may keep that away. */
  #checkGap({ oldest }: Gap, number: number, id: string | undefined): void {
    if (number < this.next) throw new Error(`Expected ${this.next} or later, got ${number} again.`);
    if (this.#isWanted(number - 1) && oldest !== null && oldest !== id) {
      throw new Error(`Expected '${oldest}' behind the gap, got '${id}'.`);
    }
  }
}
