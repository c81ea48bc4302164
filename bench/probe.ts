import { setTimeout } from 'node:timers/promises';
import { OpenBody } from './open-body';
import { queryOf } from './read-stream';

export interface Probing {
  readonly port: number;
  readonly path: string;
}

const EVERY_MS = 25;

/**
 * Opens new connections while others are served, at a fixed interval, whether or not the earlier ones have been answered:
 * otherwise slow moments would be sampled least often. This process is otherwise idle: the client, which reads as fast as
 * it can, would measure its own delay.
 *
 * @returns the time from connecting to the first event of each connection that was opened before `end` settled, in milliseconds
 */
export async function probe({ port, path }: Probing, end: Promise<unknown>): Promise<number[]> {
  const request = { port, path: `${path}?${queryOf(1)}` };
  let ended = false;
  const onEnd = () => {
    ended = true;
  };
  end.then(onEnd, onEnd);
  const waits: Promise<number>[] = [];
  while (!ended) {
    waits.push(firstEventMs(request));
    await setTimeout(EVERY_MS);
  }
  return Promise.all(waits);
}

function firstEventMs(request: Probing): Promise<number> {
  const connecting = performance.now();
  let text = '';
  return new Promise((resolve) => {
    const { socket } = new OpenBody(request, (more) => {
      text += more;
      if (!/^data:.*\n\n/m.test(text)) return;
      socket.destroy();
      resolve(performance.now() - connecting);
    });
    // The server has exited; the client reports that.
    socket.on('error', () => resolve(Number.POSITIVE_INFINITY));
  });
}
