import { setTimeout } from 'node:timers/promises';
import { OpenBody } from './open-body';
import { queryOf } from './read-stream';

export interface Probing {
  readonly port: number;
  readonly path: string;
}

const EVERY_MS = 25;

/**
 * Newcomers while others are served, one every while, whether or not those before have been served: else the slow
 * moments would be met least often. By a process that has nothing else to do: the client, which reads as much as it
 * can, would be late itself.
 *
 * @returns from connecting to the first event, in milliseconds, of each who came before `end` settled; sorted
 */
export async function probe({ port, path }: Probing, end: Promise<unknown>): Promise<number[]> {
  const asked = { port, path: `${path}?${queryOf(1)}` };
  let ended = false;
  const onEnd = () => {
    ended = true;
  };
  end.then(onEnd, onEnd);
  const waits: Promise<number>[] = [];
  while (!ended) {
    waits.push(firstEventMs(asked));
    await setTimeout(EVERY_MS);
  }
  return Promise.all(waits);
}

function firstEventMs(asked: Probing): Promise<number> {
  const connecting = performance.now();
  let text = '';
  return new Promise((resolve) => {
    const { socket } = new OpenBody(asked, (more) => {
      text += more;
      if (!/^data:.*\n\n/m.test(text)) return;
      socket.destroy();
      resolve(performance.now() - connecting);
    });
    // A server that is gone; the client tells.
    socket.on('error', () => resolve(Number.POSITIVE_INFINITY));
  });
}
