/**
 * The idempotency keys of the newest events, each with the id of its event. Remembers at least the newest `size` keys, and
 * at most twice as many: in two generations, because a map that deletes its oldest key at each insertion is slower.
 */
export class RecentKeys {
  readonly #size: number;
  #current = new Map<string, string>();
  #previous: ReadonlyMap<string, string> = new Map();

  constructor(size: number) {
    this.#size = size;
  }

  idOf(key: string): string | undefined {
    return this.#current.get(key) ?? this.#previous.get(key);
  }

  add(key: string, id: string): void {
    this.#current.set(key, id);
    if (this.#current.size < this.#size) return;
    this.#previous = this.#current;
    this.#current = new Map();
  }
}
