/** Chat rooms with history. Run it with `npx tsx docs/chat-rooms.ts`. */
import express, { type Request } from 'express';
import { Channel, event, memoryLog, sse } from 'express-yield';

/** A browser whose connection was lost is back within so long, and has not left. */
const AWAY_MS = Number(process.env.AWAY_MS ?? 10_000);

export class Room {
  readonly channel = new Channel<{ name: string; text?: string }>({
    log: memoryLog({ maxEvents: 200 }),
    replay: true, // newcomers get the history
  });
  /** How many tabs each has open, and when it is gone. */
  readonly #present = new Map<string, { tabs: number; gone?: NodeJS.Timeout }>();

  enter(name: string): void {
    const guest = this.#present.get(name);
    if (guest === undefined) void this.channel.publish(event('join', { name }));
    clearTimeout(guest?.gone);
    this.#present.set(name, { tabs: (guest?.tabs ?? 0) + 1 });
  }

  leave(name: string): void {
    const tabs = (this.#present.get(name)?.tabs ?? 0) - 1;
    const gone = tabs > 0 ? undefined : setTimeout(() => this.#forget(name), AWAY_MS).unref();
    this.#present.set(name, { tabs, gone });
  }

  #forget(name: string): void {
    this.#present.delete(name);
    void this.channel.publish(event('leave', { name }));
  }
}

export const rooms = new Map(['lobby', 'kitchen'].map((name) => [name, new Room()]));

function roomOf({ params }: Request<{ room: string }>): Room {
  const room = rooms.get(params.room);
  if (room === undefined) throw Object.assign(new Error('There is no such room.'), { status: 404 });
  return room;
}

const app = express();
app.use(sse());
app.get('/', (_req, res) => res.sendFile('chat-rooms.html', { root: 'docs' }));

app.get('/rooms/:room', async function* (req, res) {
  const room = roomOf(req);
  const { name, mute } = req.query; // your session knows better who it is
  room.enter(String(name));
  try {
    yield* room.channel.filter((line) => line.name !== mute).subscribe(res.sse);
  } finally {
    room.leave(String(name));
  }
});

app.post('/rooms/:room', express.json(), async (req, res) => {
  const { name, text } = req.body;
  const id = await roomOf(req).channel.publish(event('message', { name, text }));
  res.status(201).json({ id });
});

export const server = app.listen(process.env.PORT ?? 3000);
