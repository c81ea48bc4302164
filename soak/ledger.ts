import type { Incidents } from './incidents';

/** One event as a client reads it; `undefined` where it has no such field. */
export interface Frame {
  readonly id: string | undefined;
  readonly type: string | undefined;
  readonly data: string | undefined;
}

/** The counts of all clients. */
export interface Tally {
  events: number;
  lost: number;
  duplicated: number;
  gaps: number;
  ends: number;
  readonly incidents: Incidents;
}

/** A client's knowledge of its stream: its position, and which event must follow. */
export interface Ledger {
  /** Sent on reconnection. */
  readonly lastEventId: string;
  /** Called for each new connection. */
  onOpen(): void;
  take(frame: Frame): void;
}

export const END_ID = '~end';

interface Position {
  readonly epoch: string;
  readonly seq: number;
}

/** An id of a log in memory. */
function positionOf(id: string): Position {
  const dash = id.lastIndexOf('-');
  return { epoch: id.slice(0, dash), seq: Number(id.slice(dash + 1)) };
}

/** The number after `{"seq":` or `{"n":`, without parsing the padding. */
function numberIn(data: string): number {
  return Number.parseInt(data.slice(data.indexOf(':') + 1), 10);
}

export interface ChannelPart {
  /** The client requests one event in `every`: those with this remainder. */
  readonly every: number;
  readonly rest: number;
  /** Whether a new client gets all events from the first one. */
  readonly fromFirst: boolean;
  readonly name: string;
}

/** Checks the events of a channel, whose ids carry the numbers of its events. */
export class ChannelLedger implements Ledger {
  lastEventId = '';
  readonly #part: ChannelPart;
  readonly #tally: Tally;
  #position: Position | undefined;
  /** The last event was a gap. */
  #gap: { readonly oldest: string | null } | undefined;

  constructor(part: ChannelPart, tally: Tally) {
    this.#part = part;
    this.#tally = tally;
  }

  /** Without a last event ID, the client starts anew. */
  onOpen(): void {
    this.#gap = undefined;
    if (this.lastEventId === '') this.#position = undefined;
  }

  take(frame: Frame): void {
    if (frame.type === 'gap') this.#onGap(frame);
    else if (frame.type === 'snapshot') this.#onSnapshot(frame);
    else if (frame.id === END_ID) this.#onEnd(frame);
    else if (frame.id === undefined) this.#incident(frame, 'an event without an id');
    else if (frame.data === undefined) this.#onIdOnly(frame.id);
    else this.#onEvent(frame, frame.id);
  }

  #onEvent(frame: Frame, id: string): void {
    this.#tally.events++;
    const position = positionOf(id);
    if (numberIn(frame.data ?? '') !== position.seq) this.#incident(frame, 'a number that is not its id');
    if (position.seq !== this.#nextAfter(position.seq - 1)) this.#incident(frame, 'an event not asked for');
    this.#checkOldest(frame, id);
    this.#check(position);
    this.#moveTo(position, id);
  }

  /** A gap must be followed by the oldest retained event. */
  #checkOldest(frame: Frame, id: string): void {
    const { oldest = null } = this.#gap ?? {};
    if (oldest === null || oldest === id || this.#part.every > 1) return;
    this.#incident(frame, `not the oldest event after the gap, ${oldest}`);
  }

  /** An id alone is a position without an event. */
  #onIdOnly(id: string): void {
    if (id === this.lastEventId) return;
    const position = positionOf(id);
    if (this.#position !== undefined && this.#gap === undefined) this.#checkPassed(position, this.#position);
    this.#moveTo(position, id);
  }

  /** No requested event may have been skipped. */
  #checkPassed({ epoch, seq }: Position, last: Position): void {
    const next = this.#nextAfter(last.seq);
    if (last.epoch !== epoch) this.#lose(0, 1);
    else if (seq < last.seq) this.#duplicate(seq, last.seq);
    else if (next <= seq) this.#lose(next, seq + 1);
  }

  #check({ epoch, seq }: Position): void {
    const last = this.#position;
    if (last === undefined) {
      if (this.#part.fromFirst && seq !== 1 && this.#gap === undefined) this.#lose(1, seq);
      return;
    }
    if (last.epoch !== epoch) {
      if (this.#gap === undefined) this.#lose(0, 1);
      return;
    }
    const next = this.#nextAfter(last.seq);
    if (seq < next) this.#duplicate(seq, next);
    else if (seq > next && this.#gap === undefined) this.#lose(next, seq);
  }

  #onGap({ data = '' }: Frame): void {
    this.#tally.gaps++;
    const { lastEventId, oldest } = JSON.parse(data) as { lastEventId: string; oldest: string | null };
    this.#gap = { oldest };
    const last = positionOf(lastEventId);
    const first = oldest === null ? undefined : positionOf(oldest);
    const frame = { id: undefined, type: 'gap', data };
    if (this.lastEventId === '') this.#incident(frame, 'a gap for a new client');
    else if (last.epoch !== this.#position?.epoch || last.seq < this.#position.seq) {
      this.#incident(frame, 'a gap that starts elsewhere');
    }
    if (first?.epoch === last.epoch && first.seq <= last.seq + 1)
      this.#incident(frame, 'a gap in which nothing is missing');
  }

  /** The events after a snapshot start at the position of its subscription. */
  #onSnapshot({ data = '' }: Frame): void {
    if (this.#position !== undefined) return;
    const { position } = JSON.parse(data) as { position: string };
    // A channel that has ended starts with its retained events.
    if (position !== '') this.#position = positionOf(position);
  }

  #onEnd({ data = '' }: Frame): void {
    this.#tally.ends++;
    this.lastEventId = END_ID;
    const { lastId, count } = JSON.parse(data) as { lastId?: string; count?: number };
    const position = this.#position;
    if (position === undefined || this.#gap !== undefined) return;
    const last = count === undefined ? positionOf(lastId ?? '') : { epoch: position.epoch, seq: count };
    this.#checkPassed(last, position);
  }

  #moveTo(position: Position, id: string): void {
    this.#position = position;
    this.lastEventId = id;
    this.#gap = undefined;
  }

  /** The number of the next requested event after this one. */
  #nextAfter(seq: number): number {
    const { every, rest } = this.#part;
    return seq + 1 + ((rest - ((seq + 1) % every) + every) % every);
  }

  #lose(from: number, to: number): void {
    this.#tally.lost += Math.ceil((to - from) / this.#part.every);
    this.#tally.incidents.add(
      `${this.#part.name}: lost from ${from} to before ${to} after '${this.lastEventId}'`,
    );
  }

  #duplicate(seq: number, next: number): void {
    this.#tally.duplicated++;
    this.#tally.incidents.add(
      `${this.#part.name}: expected ${next}, got ${seq} again after '${this.lastEventId}'`,
    );
  }

  #incident({ id, type, data }: Frame, what: string): void {
    const text = JSON.stringify({ id, type, data: data?.slice(0, 200) });
    this.#tally.incidents.add(`${this.#part.name}: ${what}, after '${this.lastEventId}': ${text}`);
  }
}

/** Checks numbers that continue after the last event ID: `count` of them, and then the end. */
export class NumbersLedger implements Ledger {
  lastEventId = '';
  readonly #name: string;
  readonly #count: number;
  readonly #tally: Tally;
  #last = 0;

  constructor(name: string, count: number, tally: Tally) {
    this.#name = name;
    this.#count = count;
    this.#tally = tally;
  }

  onOpen(): void {}

  take({ id, type, data }: Frame): void {
    if (data === undefined) return;
    // A fetch client gets the returned value as an ordinary event.
    if (id === END_ID || (type === undefined && data.startsWith('{"count":'))) {
      this.#onEnd();
      return;
    }
    this.#tally.events++;
    const n = numberIn(data);
    if (type !== 'number' || String(n) !== id) {
      this.#tally.incidents.add(`${this.#name}: got ${type} ${id} ${data}`);
    }
    if (n <= this.#last) this.#tally.duplicated++;
    else if (n > this.#last + 1) this.#tally.lost += n - this.#last - 1;
    if (n !== this.#last + 1)
      this.#tally.incidents.add(`${this.#name}: expected ${this.#last + 1}, got ${n}`);
    this.#last = Math.max(n, this.#last);
    this.lastEventId = String(this.#last);
  }

  #onEnd(): void {
    this.#tally.ends++;
    this.lastEventId = END_ID;
    if (this.#last === this.#count) return;
    this.#tally.lost += this.#count - this.#last;
    this.#tally.incidents.add(`${this.#name}: ended after ${this.#last} of ${this.#count}`);
  }
}

/** Checks a stream without ids, which starts again on each connection. */
export class FloodLedger implements Ledger {
  lastEventId = '';
  readonly #tally: Tally;
  #last = 0;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  onOpen(): void {
    this.#last = 0;
  }

  take({ id, data }: Frame): void {
    if (data === undefined) return;
    if (id === END_ID) {
      this.#tally.ends++;
      this.lastEventId = END_ID;
      return;
    }
    this.#tally.events++;
    const n = Number.parseInt(data, 10);
    if (n !== this.#last + 1) this.#tally.incidents.add(`flood: expected ${this.#last + 1}, got ${n}`);
    if (n <= this.#last) this.#tally.duplicated++;
    else this.#tally.lost += n - this.#last - 1;
    this.#last = n;
  }
}
