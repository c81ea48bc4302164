import { outsideRequests } from '../async-context';
import { describe, wrongType } from '../errors';
import { PublishedEvent, ServerSentEvent } from '../format/event';
import { recordOf } from '../format/record';
import type { Serialize } from '../format/serialize';
import { Entry } from '../log/entry';
import { refusePromise } from '../synchronous';
import { BatchCache, type OnUsed } from './frame-cache';
import type { ParsedEvents } from './parsed-events';
import { RecentEntries } from './recent-entries';
import type { ScanInterval } from './scan-clock';

/** A map function at run time: what is read from the log has no type. */
export type UntypedMap = (data: unknown, event: ServerSentEvent) => unknown;

/** What the lanes of a channel have in common. */
export interface LaneTools {
  readonly events: ParsedEvents;
  readonly serialize: Serialize;
  readonly onUsed: OnUsed;
}

/**
 * The subscribers that receive the same form of each event: all without a map, or all with one map function (of the events
 * of the lane above). They share each batch, and each event is mapped and encoded once for them.
 */
export class Lane {
  readonly batches: BatchCache;
  readonly #tools: LaneTools;
  readonly #children = new Map<UntypedMap, MapLane>();

  constructor(tools: LaneTools) {
    this.#tools = tools;
    this.batches = new BatchCache(tools.onUsed);
  }

  /** Adds a subscriber to the lane of a map function. */
  join(map: UntypedMap): MapLane {
    const lane = this.#children.get(map) ?? new MapLane(this.#tools, map, () => this.#children.delete(map));
    this.#children.set(map, lane);
    lane.add();
    return lane;
  }
}

/**
 * A function with one subscriber belongs to its request, so it runs in that request's context. A function with several
 * belongs to none of them: it runs once for all of them, in the context of no request.
 */
export class MapLane extends Lane implements ScanInterval {
  scanInterval = 1;
  readonly #map: UntypedMap;
  readonly #events: ParsedEvents;
  readonly #serialize: Serialize;
  readonly #onEmpty: () => void;
  readonly #mapped = new Map<Entry, Entry>();
  readonly #entries: RecentEntries;
  #subscribers = 0;
  #shared = false;

  constructor(tools: LaneTools, map: UntypedMap, onEmpty: () => void) {
    super(tools);
    this.#map = map;
    this.#events = tools.events;
    this.#serialize = tools.serialize;
    this.#onEmpty = onEmpty;
    this.#entries = new RecentEntries((entry) => this.#mapped.delete(entry), tools.onUsed);
  }

  /** Whether it ever had several subscribers. */
  get shared(): boolean {
    return this.#shared;
  }

  add(): void {
    this.#subscribers++;
    if (this.#subscribers > 1) this.#shared = true;
  }

  leave(): void {
    this.#subscribers--;
    if (this.#subscribers === 0) this.#onEmpty();
  }

  /**
   * What its subscribers receive of an entry. A gap and the closing entry pass unchanged.
   *
   * @throws what the map function throws, and for a value that cannot be sent
   */
  shown(entry: Entry): Entry {
    if (entry.kind !== 'event') return entry;
    return this.#shared ? this.#shownToAll(entry) : this.#mappedFrom(entry);
  }

  #shownToAll(entry: Entry): Entry {
    const known = this.#mapped.get(entry);
    if (known !== undefined) return known;
    const mapped = outsideRequests(() => this.#mappedFrom(entry));
    this.#mapped.set(entry, mapped);
    this.#entries.add(entry, this.#events.isRecent);
    return mapped;
  }

  #mappedFrom(entry: Entry): Entry {
    const event = this.#events.of(entry);
    const value = this.#map(event.data, event);
    refusePromise(value, 'a map function', 'ERR_SSE_INVALID_MAP');
    checkMapped(value);
    return new Entry(entry.id, recordOf(value, this.#serialize));
  }
}

function checkMapped(value: unknown): void {
  if (!(value instanceof ServerSentEvent)) return;
  if (value.type === undefined && value.data === undefined) {
    throw wrongType(
      'ERR_SSE_INVALID_MAP',
      'Expected a map function to return data or event(type, data), got a comment(). To drop events, use filter().',
    );
  }
  if (value.id === undefined || value instanceof PublishedEvent) return;
  throw wrongType(
    'ERR_SSE_INVALID_MAP',
    `Expected a map function to return an event without an id, got ${describe(value.id)}. Leave it out: each event keeps the id that its log gave it.`,
  );
}
