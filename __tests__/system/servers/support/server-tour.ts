import type { IncomingMessage, ServerResponse } from 'node:http';
import { Channel, createSse, type SseContext } from '../../../../lib';
import { aborted } from '../../../support/gate';

/** A handler of every server: their requests and responses extend those of `node:http`. */
export type TourHandler = (
  req: IncomingMessage,
  res: ServerResponse & { readonly sse: SseContext },
) => unknown;

/** What one server streams, with an `sse` of its own. */
export class ServerTour {
  readonly sse = createSse({ keepAliveMs: 20, onError: () => undefined });
  readonly prices = new Channel<number>();
  /** Why each generator has ended. */
  readonly ends: unknown[] = [];

  /** The handlers by their paths. */
  readonly handlers: ReadonlyArray<readonly [path: string, handler: TourHandler]> = [
    ['/waiting', (_req, res) => this.#waiting(res.sse.signal)],
    ['/denied', () => denied()],
    ['/broken', () => broken()],
    ['/prices', () => this.prices],
  ];

  async *#waiting(signal: AbortSignal) {
    try {
      yield 'first';
      await aborted(signal);
    } finally {
      this.ends.push((signal.reason as { code?: unknown }).code);
    }
  }
}

// biome-ignore lint/correctness/useYield: it fails before its first value
async function* denied(): AsyncGenerator<never> {
  throw Object.assign(new Error('Denied'), { status: 401, statusCode: 401 });
}

async function* broken(): AsyncGenerator<string> {
  yield 'first';
  throw new Error('Broken');
}
