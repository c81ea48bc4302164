/** A place in a {@link ReadyQueue}, which its holder can leave without knowing which queue it is in. */
export class Link {
  previous: Link = this;
  next: Link = this;

  /** Leaves the queue; nothing happens if it is in none. */
  unlink(): void {
    this.previous.next = this.next;
    this.next.previous = this.previous;
    this.previous = this;
    this.next = this;
  }
}

/**
 * A queue that is joined to another in one step, whatever their lengths: when an event is published, everybody at the
 * head of the log falls behind at once.
 */
export class ReadyQueue<Item extends Link> {
  /** Both ends of the ring. */
  readonly #ends = new Link();

  get first(): Item | undefined {
    const { next } = this.#ends;
    return next === this.#ends ? undefined : (next as Item);
  }

  /** All items, of which the one at hand may leave. */
  *items(): Generator<Item> {
    for (let item = this.#ends.next; item !== this.#ends; ) {
      const { next } = item;
      yield item as Item;
      item = next;
    }
  }

  /** Takes an item, out of whichever queue it was in. */
  push(item: Item): void {
    item.unlink();
    const last = this.#ends.previous;
    last.next = item;
    item.previous = last;
    item.next = this.#ends;
    this.#ends.previous = item;
  }

  /** Takes all items of another queue, in their order, behind its own. */
  pushAll(other: ReadyQueue<Item>): void {
    const { next: first, previous: last } = other.#ends;
    if (first === other.#ends) return;
    other.#ends.next = other.#ends;
    other.#ends.previous = other.#ends;
    first.previous = this.#ends.previous;
    this.#ends.previous.next = first;
    last.next = this.#ends;
    this.#ends.previous = last;
  }
}
