/** A node of a linked list. An item can be removed without knowing in which {@link ReadyQueue} it is. */
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
 * A queue, as a linked list. All items of one queue can be moved to another in constant time: when an event is published,
 * all idle cursors become ready in one step.
 */
export class ReadyQueue<Item extends Link> {
  /** Both ends of the ring. */
  readonly #ends = new Link();

  get first(): Item | undefined {
    const { next } = this.#ends;
    return next === this.#ends ? undefined : (next as Item);
  }

  /** All items; the current one may be removed during the iteration. */
  *items(): Generator<Item> {
    for (let item = this.#ends.next; item !== this.#ends; ) {
      const { next } = item;
      yield item as Item;
      item = next;
    }
  }

  /** Appends an item, after removing it from the queue in which it is. */
  push(item: Item): void {
    item.unlink();
    const last = this.#ends.previous;
    last.next = item;
    item.previous = last;
    item.next = this.#ends;
    this.#ends.previous = item;
  }

  /** Moves all items of another queue to the end of this one, in their order. */
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
