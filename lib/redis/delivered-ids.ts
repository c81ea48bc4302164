import { compareIds } from './redis-stream';

const MAX_IDS = 512;

/** The ids of the newest entries that a follower has delivered. */
export class DeliveredIds {
  readonly #ids: string[] = [];
  #next = 0;

  add(id: string): void {
    this.#ids[this.#next] = id;
    this.#next = (this.#next + 1) % MAX_IDS;
  }

  has(id: string): boolean {
    return this.#ids.includes(id);
  }

  /** The lowest id, which need not be the oldest one. */
  get lowest(): string | undefined {
    const [first, ...others] = this.#ids;
    if (first === undefined) return undefined;
    return others.reduce((lowest, id) => (compareIds(id, lowest) < 0 ? id : lowest), first);
  }
}
