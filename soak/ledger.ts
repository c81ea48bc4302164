import type { Incidents } from './incidents';

/** One event as a client reads it; `undefined` where it has no such field. */
export interface Frame {
  readonly id: string | undefined;
  readonly type: string | undefined;
  readonly data: string | undefined;
}

/** What all clients count together. */
export interface Tally {
  events: number;
  lost: number;
  doubled: number;
  gaps: number;
  ends: number;
  readonly incidents: Incidents;
}

/** What a client knows of its stream: where it is, and what must come next. */
export interface Ledger {
  /** What it sends when it comes again. */
  readonly lastEventId: string;
  /** A new connection. */
  onOpen(): void;
  take(frame: Frame): void;
}

export const END_ID = '~end';

interface Place {
  readonly epoch: string;
  readonly seq: number;
}

/** An id of a log in memory. */
function placeOf(id: string): Place {
  const dash = id.lastIndexOf('-');
  return { epoch: id.slice(0, dash), seq: Number(id.slice(dash + 1)) };
}

/** The number behind `{"seq":` or `{"n":`, without parsing the padding. */
function numberIn(data: string): number {
  return Number.parseInt(data.slice(data.indexOf(':') + 1), 10);
}

export interface ChannelPart {
  /** One in so many is wanted: those with this rest. */
  readonly every: number;
  readonly rest: number;
  /** Whether a newcomer gets all from the first event. */
  readonly fromFirst: boolean;
  readonly name: string;
}

/** Checks the events of a channel, whose ids carry the numbers of its events. */
export class ChannelLedger implements Ledger {
  lastEventId = '';
  readonly #part: ChannelPart;
  readonly #tally: Tally;
  #place: Place | undefined;
  /** A gap was told, and nothing has come since. */
  #gap: { readonly oldest: string | null } | undefined;

  constructor(part: ChannelPart, tally: Tally) {
    this.#part = part;
    this.#tally = tally;
  }

  /** Without a last event ID it comes as a newcomer. */
  onOpen(): void {
    this.#gap = undefined;
    if (this.lastEventId === '') this.#place = undefined;
  }

  take(frame: Frame): void {
    if (frame.type === 'gap') return this.#onGap(frame);
    if (frame.type === 'snapshot') return this.#onSnapshot(frame);
    if (frame.id === END_ID) return this.#onEnd(frame);
    if (frame.id === undefined) return this.#incident(frame, 'an event without an id');
    if (frame.data === undefined) this.#onPlace(frame.id);
    else this.#onEvent(frame, frame.id);
  }

  #onEvent(frame: Frame, id: string): void {
    this.#tally.events++;
    const place = placeOf(id);
    if (numberIn(frame.data ?? '') !== place.seq) this.#incident(frame, 'a number that is not its id');
    if (place.seq !== this.#nextAfter(place.seq - 1)) this.#incident(frame, 'an event not asked for');
    this.#checkOldest(frame, id);
    this.#check(place);
    this.#moveTo(place, id);
  }

  /** What comes behind a gap is the oldest event that there is. */
  #checkOldest(frame: Frame, id: string): void {
    const { oldest = null } = this.#gap ?? {};
    if (oldest === null || oldest === id || this.#part.every > 1) return;
    this.#incident(frame, `not the oldest event behind the gap, ${oldest}`);
  }

  /** An id alone: the client's place, without an event. */
  #onPlace(id: string): void {
    if (id === this.lastEventId) return;
    const place = placeOf(id);
    if (this.#place !== undefined && this.#gap === undefined) this.#checkPassed(place, this.#place);
    this.#moveTo(place, id);
  }

  /** Nothing that is wanted may have been passed on the way. */
  #checkPassed({ epoch, seq }: Place, last: Place): void {
    const next = this.#nextAfter(last.seq);
    if (last.epoch !== epoch) this.#lose(0, 1);
    else if (seq < last.seq) this.#double(seq, last.seq);
    else if (next <= seq) this.#lose(next, seq + 1);
  }

  #check({ epoch, seq }: Place): void {
    const last = this.#place;
    if (last === undefined) {
      if (this.#part.fromFirst && seq !== 1 && this.#gap === undefined) this.#lose(1, seq);
      return;
    }
    if (last.epoch !== epoch) {
      if (this.#gap === undefined) this.#lose(0, 1);
      return;
    }
    const next = this.#nextAfter(last.seq);
    if (seq < next) this.#double(seq, next);
    else if (seq > next && this.#gap === undefined) this.#lose(next, seq);
  }

  #onGap({ data = '' }: Frame): void {
    this.#tally.gaps++;
    const { lastEventId, oldest } = JSON.parse(data) as { lastEventId: string; oldest: string | null };
    this.#gap = { oldest };
    const last = placeOf(lastEventId);
    const first = oldest === null ? undefined : placeOf(oldest);
    const frame = { id: undefined, type: 'gap', data };
    if (this.lastEventId === '') this.#incident(frame, 'a gap for a newcomer');
    else if (last.epoch !== this.#place?.epoch || last.seq < this.#place.seq) {
      this.#incident(frame, 'a gap that begins elsewhere');
    }
    if (first?.epoch === last.epoch && first.seq <= last.seq + 1)
      this.#incident(frame, 'a gap in which nothing is missing');
  }

  /** What follows a snapshot begins where its subscription has taken its place. */
  #onSnapshot({ data = '' }: Frame): void {
    if (this.#place !== undefined) return;
    const { place } = JSON.parse(data) as { place: string };
    // A channel that is over begins with what it retains.
    if (place !== '') this.#place = placeOf(place);
  }

  #onEnd({ data = '' }: Frame): void {
    this.#tally.ends++;
    this.lastEventId = END_ID;
    const { lastId, count } = JSON.parse(data) as { lastId?: string; count?: number };
    const place = this.#place;
    if (place === undefined || this.#gap !== undefined) return;
    const last = count === undefined ? placeOf(lastId ?? '') : { epoch: place.epoch, seq: count };
    this.#checkPassed(last, place);
  }

  #moveTo(place: Place, id: string): void {
    this.#place = place;
    this.lastEventId = id;
    this.#gap = undefined;
  }

  /** The number of the first event behind this one that is wanted. */
  #nextAfter(seq: number): number {
    const { every, rest } = this.#part;
    return seq + 1 + ((rest - ((seq + 1) % every) + every) % every);
  }

  #lose(from: number, to: number): void {
    this.#tally.lost += Math.ceil((to - from) / this.#part.every);
    this.#tally.incidents.add(
      `${this.#part.name}: lost from ${from} to before ${to} behind '${this.lastEventId}'`,
    );
  }

  #double(seq: number, next: number): void {
    this.#tally.doubled++;
    this.#tally.incidents.add(
      `${this.#part.name}: expected ${next}, got ${seq} again behind '${this.lastEventId}'`,
    );
  }

  #incident({ id, type, data }: Frame, what: string): void {
    const text = JSON.stringify({ id, type, data: data?.slice(0, 200) });
    this.#tally.incidents.add(`${this.#part.name}: ${what}, behind '${this.lastEventId}': ${text}`);
  }
}

/** Checks numbers that go on behind the last event ID, `count` of them and then the end. */
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
    if (id === END_ID) return this.#onEnd();
    this.#tally.events++;
    const n = numberIn(data);
    if (type !== 'number' || String(n) !== id) {
      this.#tally.incidents.add(`${this.#name}: got ${type} ${id} ${data}`);
    }
    if (n <= this.#last) this.#tally.doubled++;
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

/** Checks a stream without ids, which begins anew each time. */
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
    if (n <= this.#last) this.#tally.doubled++;
    else this.#tally.lost += n - this.#last - 1;
    this.#last = n;
  }
}
