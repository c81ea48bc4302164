import type { Viewer } from '../sources';

/**
 * The client of a source, from its request.
 *
 * @param events the parameter of the query
 * @param onLeft adds a listener for the client's disconnect
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
