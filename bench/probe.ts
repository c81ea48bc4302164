import { setTimeout } from 'node:timers/promises';
import { OpenBody } from './open-body';
import { queryOf } from './read-stream';

export interface Probing {
  readonly port: number;
  readonly path: string;
}

const PAUSE_MS = 25;

/**
 * One newcomer after the other while others are served. By a process that has nothing else to do: the client, which
 * reads as much as it can, would be late itself.
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
  const waits: number[] = [];
  while (!ended) {
    const wait = await firstEventMs(asked);
    if (!ended) waits.push(wait);
    await setTimeout(PAUSE_MS);
  }
  return waits.sort((a, b) => a - b);
}

function firstEventMs(asked: Probing): Promise<number> {
  const connecting = performance.now();
  let text = '';
  return new Promise((resolve, reject) => {
    const { socket } = new OpenBody(asked, (more) => {
      text += more;
      if (!/^data:.*\n\n/m.test(text)) return;
      socket.destroy();
      resolve(performance.now() - connecting);
    });
    socket.on('error', reject);
  });
}
