import type { Viewer } from '../sources';

/**
 * Who is served, from what a request asks for.
 *
 * @param events as it is in the query
 * @param onLeft has its argument called when the client has left
 */
export function viewer(events: unknown, onLeft: (listener: () => void) => void): Viewer {
  return {
    events: Number(events),
    get signal() {
      const controller = new AbortController();
      onLeft(() => controller.abort());
      return controller.signal;
    },
  };
}
