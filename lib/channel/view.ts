import { CallbackContext } from '../async-context';
import { describe, wrongType } from '../errors';
import type { ServerSentEvent } from '../format/event';
import type { Entry } from '../log/entry';
import { refusePromise } from '../synchronous';
import type { MapLane, MapLanes, UntypedMap } from './lane';
import type { ParsedEvents } from './parsed-events';
import type { ScanInterval } from './scan-clock';

/** A filter at run time: what is read from the log has no type. */
export type UntypedFilter = (data: unknown, event: ServerSentEvent) => unknown;

/** A filter or a map function of a subscription. */
export type Step =
  | { readonly kind: 'filter'; readonly filter: UntypedFilter }
  | { readonly kind: 'map'; readonly map: UntypedMap };

/** The filters and map functions of a subscription, in their order. */
export interface ViewSteps {
  readonly steps: readonly Step[];
  /** Of the code that made the subscription; they run in it. */
  readonly context: CallbackContext;
}

/** @returns `undefined` without steps, which costs nothing */
export function viewSteps(steps: readonly Step[]): ViewSteps | undefined {
  return steps.length === 0 ? undefined : { steps, context: new CallbackContext() };
}

const NO_LANES: readonly MapLane[] = [];

/** What an entry becomes; `undefined` if it is dropped. */
type Apply = (entry: Entry) => Entry | undefined;

/** What one subscriber receives of the entries of a log, by its filters and map functions. */
export class View implements ScanInterval {
  readonly context: CallbackContext;
  scanInterval = 1;
  readonly #events: ParsedEvents;
  /** Of its map functions, in their order; the last one is that of its events. */
  #lanes: readonly MapLane[] = NO_LANES;
  readonly #isFiltered: boolean;
  readonly #apply: Apply;
  /** An entry that was applied, but did not fit into the batch. */
  #held: { readonly entry: Entry; readonly shown: Entry } | undefined;

  constructor({ steps, context }: ViewSteps, lanes: MapLanes, events: ParsedEvents) {
    this.context = context;
    this.#events = events;
    this.#isFiltered = steps.some(({ kind }) => kind === 'filter');
    this.#apply = inOrder(steps.map((step) => this.#compile(step, lanes)));
  }

  /** The lane of all subscribers that receive the same; `undefined` if that is this one alone. */
  get sharedLane(): MapLane | undefined {
    if (this.#isFiltered) return undefined;
    const lane = this.#lastLane;
    return lane?.shared ? lane : undefined;
  }

  /**
   * What the subscriber receives of an entry; `undefined` if nothing. A gap and the closing entry always pass unchanged.
   *
   * @throws what a filter or a map function throws
   */
  apply(entry: Entry): Entry | undefined {
    if (entry.kind !== 'event') return entry;
    return this.#held === undefined ? this.#apply(entry) : this.#takeHeld(entry);
  }

  /** Keeps the result until the entry is applied again, so that no filter is called for it a second time. */
  hold(entry: Entry, shown: Entry): void {
    this.#held = { entry, shown };
  }

  /** The event for an iterator. */
  eventOf(shown: Entry): ServerSentEvent {
    return this.#lanes.length === 0 ? this.#events.of(shown) : shown.event(this.#events.parse);
  }

  /** The subscriber has unsubscribed. */
  close(): void {
    for (const lane of this.#lanes) lane.leave();
    this.#lanes = NO_LANES;
  }

  get #lastLane(): MapLane | undefined {
    return this.#lanes[this.#lanes.length - 1];
  }

  #takeHeld(entry: Entry): Entry | undefined {
    const held = this.#held;
    this.#held = undefined;
    return held?.entry === entry ? held.shown : this.#apply(entry);
  }

  #compile(step: Step, lanes: MapLanes): Apply {
    const { parse } = this.#events;
    const above = this.#lastLane;
    if (step.kind === 'map') {
      const lane = (above?.following ?? lanes).join(step.map);
      this.#lanes = [...this.#lanes, lane];
      return (entry) => lane.shown(entry);
    }
    const { filter } = step;
    if (above === undefined) return (entry) => (accepts(filter, this.#events.of(entry)) ? entry : undefined);
    return (entry) => (accepts(filter, entry.event(parse)) ? entry : undefined);
  }
}

/** A single step is by far the most frequent, and costs a tenth less without a loop (measured). */
function inOrder(steps: readonly Apply[]): Apply {
  const [first, second] = steps;
  if (first !== undefined && second === undefined) return first;
  return (entry) => {
    let shown: Entry | undefined = entry;
    for (const step of steps) {
      shown = step(shown);
      if (shown === undefined) return undefined;
    }
    return shown;
  };
}

function accepts(filter: UntypedFilter, event: ServerSentEvent): boolean {
  const result = filter(event.data, event);
  if (typeof result === 'boolean') return result;
  refusePromise(result, 'a filter', 'ERR_SSE_INVALID_FILTER');
  if (isUncalled(result)) {
    throw wrongType(
      'ERR_SSE_INVALID_FILTER',
      `Expected a filter to return true or false, got ${describe(result)}. It is truthy, so every event would pass.`,
    );
  }
  return Boolean(result);
}

/** Whether it is code that has not run: a function that was not called, or a generator. */
function isUncalled(result: unknown): boolean {
  if (typeof result === 'function') return true;
  return typeof result === 'object' && result !== null && 'next' in result && Symbol.toStringTag in result;
}
