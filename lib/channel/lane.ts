import { outsideRequests } from '../async-context';
import { describe, wrongType } from '../errors';
import { isPublishedEvent, isServerSentEvent, type ServerSentEvent } from '../format/event';
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

/** The lanes of the map functions of a channel, or of those that follow one map function. */
export class MapLanes {
  readonly #tools: LaneTools;
  readonly #source: MapLane | undefined;
  #lanes: Map<UntypedMap, MapLane> | undefined;

  /** @param source the lane whose events the functions receive; `undefined` for the events of the log */
  constructor(tools: LaneTools, source?: MapLane) {
    this.#tools = tools;
    this.#source = source;
  }

  /** Adds a subscriber to the lane of a function. */
  join(map: UntypedMap): MapLane {
    const lane = this.#lanes?.get(map) ?? this.#open(map);
    lane.add();
    return lane;
  }

  #open(map: UntypedMap): MapLane {
    const lanes = this.#lanes ?? new Map<UntypedMap, MapLane>();
    const lane = new MapLane(this.#tools, map, this.#source, () => lanes.delete(map));
    this.#lanes = lanes.set(map, lane);
    return lane;
  }
}

/**
 * The subscribers that use one map function, on the same events. Each event is mapped and encoded once for them, and they
 * share each batch.
 *
 * A function with one subscriber belongs to its request, so it runs in that request's context. A function with several
 * belongs to none of them: it runs once for all of them, in the context of no request.
 */
export class MapLane implements ScanInterval {
  scanInterval = 1;
  readonly batches: BatchCache;
  readonly #tools: LaneTools;
  readonly #map: UntypedMap;
  /** The lane whose events the function receives; `undefined` for the events of the log. */
  readonly #source: MapLane | undefined;
  readonly #onEmpty: () => void;
  readonly #mapped = new Map<Entry, Entry>();
  readonly #entries: RecentEntries;
  #following: MapLanes | undefined;
  #subscribers = 0;
  #shared = false;

  constructor(tools: LaneTools, map: UntypedMap, source: MapLane | undefined, onEmpty: () => void) {
    this.batches = new BatchCache(tools.onUsed);
    this.#tools = tools;
    this.#map = map;
    this.#source = source;
    this.#onEmpty = onEmpty;
    this.#entries = new RecentEntries((entry) => this.#mapped.delete(entry), tools.onUsed);
  }

  /** The lanes of the map functions that follow this one. */
  get following(): MapLanes {
    this.#following ??= new MapLanes(this.#tools, this);
    return this.#following;
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

  /** What its subscribers receive of an entry of the log. @throws as {@link MapLane.shown} does */
  shownFromLog(entry: Entry): Entry {
    return this.shown(this.#source === undefined ? entry : this.#source.shownFromLog(entry));
  }

  /**
   * What its subscribers receive of an entry of the lane above. A gap and the closing entry pass unchanged.
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
    this.#entries.add(entry, this.#tools.events.isRecent);
    return mapped;
  }

  #mappedFrom(entry: Entry): Entry {
    const { events, serialize } = this.#tools;
    const event = this.#source === undefined ? events.of(entry) : entry.event(events.parse);
    const value = this.#map(event.data, event);
    refusePromise(value, 'a map function', 'ERR_SSE_INVALID_MAP');
    checkMapped(value);
    return new Entry(entry.id, recordOf(value, serialize));
  }
}

function checkMapped(value: unknown): void {
  if (!isServerSentEvent(value)) return;
  if (value.type === undefined && value.data === undefined) {
    throw wrongType(
      'ERR_SSE_INVALID_MAP',
      'Expected a map function to return data or event(type, data), got a comment(). To drop events, use filter().',
    );
  }
  if (value.id === undefined || isPublishedEvent(value)) return;
  throw wrongType(
    'ERR_SSE_INVALID_MAP',
    `Expected a map function to return an event without an id, got ${describe(value.id)}. Leave it out: each event keeps the id that its log gave it.`,
  );
}
