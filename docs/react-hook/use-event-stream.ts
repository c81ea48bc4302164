import { useEffect, useEffectEvent, useState, useSyncExternalStore } from 'react';

export type StreamState = 'CONNECTING' | 'OPEN' | 'CLOSED';

const STATES = ['CONNECTING', 'OPEN', 'CLOSED'] as const;

/**
 * Opens a stream for one component.
 *
 * @param handlers a function for each event type, which gets its data; those of the last render are called
 */
export function useEventStream<Events extends object>(
  url: string,
  handlers: { readonly [Type in keyof Events]: (data: Events[Type]) => void },
): StreamState {
  const [state, setState] = useState<StreamState>('CONNECTING');
  const handle = useEffectEvent((type: string, data: string) => {
    const handler = handlers[type as keyof Events];
    handler(JSON.parse(data));
  });
  const types = Object.keys(handlers).join();
  useEffect(() => {
    const close = openStream(url, types.split(','), handle, setState);
    return () => {
      close();
      setState('CONNECTING');
    };
  }, [url, types]);
  return state;
}

export interface Snapshot<Value> {
  readonly state: StreamState;
  readonly value: Value;
}

export interface SharedStream<Value> {
  subscribe(listener: () => void): () => void;
  getSnapshot(): Snapshot<Value>;
}

/** One stream for all components that use it: the first opens it, the last closes it. Create it outside components. */
export function sharedStream<Value, Events extends object>(
  url: string,
  initial: Value,
  reducers: { readonly [Type in keyof Events]: (value: Value, data: Events[Type]) => Value },
): SharedStream<Value> {
  const listeners = new Set<() => void>();
  let snapshot: Snapshot<Value>;
  let close: () => void;
  const set = (change: Partial<Snapshot<Value>>) => {
    snapshot = { ...snapshot, ...change };
    for (const listener of listeners) listener();
  };
  const reset = () => {
    snapshot = { state: 'CONNECTING', value: initial };
  };
  const onEvent = (type: string, data: string) => {
    const reduce = reducers[type as keyof Events];
    set({ value: reduce(snapshot.value, JSON.parse(data)) });
  };
  reset();
  return {
    getSnapshot: () => snapshot,
    subscribe(listener) {
      if (listeners.size === 0)
        close = openStream(url, Object.keys(reducers), onEvent, (state) => set({ state }));
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        close();
        reset();
      };
    },
  };
}

export function useSharedStream<Value>({ subscribe, getSnapshot }: SharedStream<Value>): Snapshot<Value> {
  return useSyncExternalStore(subscribe, getSnapshot, getSnapshot);
}

/** @returns a function that closes the stream */
function openStream(
  url: string,
  types: readonly string[],
  onEvent: (type: string, data: string) => void,
  onState: (state: StreamState) => void,
): () => void {
  const source = new EventSource(url);
  const notify = () => onState(STATES[source.readyState] ?? 'CLOSED');
  source.onopen = notify;
  source.onerror = notify;
  for (const type of types) {
    source.addEventListener(type, ({ data }: MessageEvent<string>) => onEvent(type, data));
  }
  return () => source.close();
}
