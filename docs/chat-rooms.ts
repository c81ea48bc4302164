/** Chat rooms with history. Run it with `npx tsx docs/chat-rooms.ts`. */
import express, { type Request } from 'express';
import { Channel, event, memoryLog, sse } from 'express-yield';

/** A member who reconnects within this time has not left. */
const AWAY_MS = Number(process.env.AWAY_MS ?? 10_000);

export class Room {
  readonly channel = new Channel<{ name: string; text?: string }>({
    log: memoryLog({ maxEvents: 200 }),
    replay: true, // new members get the history
  });
  /** How many tabs each member has open, and the timer that removes a member without tabs. */
  readonly #members = new Map<string, { tabs: number; removal?: NodeJS.Timeout | undefined }>();

  enter(name: string): void {
    const member = this.#members.get(name);
    if (member === undefined) this.#publish('join', name);
    clearTimeout(member?.removal);
    this.#members.set(name, { tabs: (member?.tabs ?? 0) + 1 });
  }

  leave(name: string): void {
    const tabs = (this.#members.get(name)?.tabs ?? 0) - 1;
    const removal = tabs > 0 ? undefined : setTimeout(() => this.#remove(name), AWAY_MS).unref();
    this.#members.set(name, { tabs, removal });
  }

  #remove(name: string): void {
    this.#members.delete(name);
    this.#publish('leave', name);
  }

  #publish(type: string, name: string): void {
    this.channel.publish(event(type, { name })).catch(console.error);
  }
}

export const rooms = new Map(['lobby', 'kitchen'].map((name) => [name, new Room()]));

function roomOf({ params }: Request<{ room: string }>): Room {
  const room = rooms.get(params.room);
  if (room === undefined) throw Object.assign(new Error('This room does not exist.'), { status: 404 });
  return room;
}

const app = express();
app.use(sse());
app.get('/', (_req, res) => res.sendFile('chat-rooms.html', { root: 'docs' }));

app.get('/rooms/:room', async function* (req, res) {
  const room = roomOf(req);
  const { name, mute } = req.query; // in your app, take the name from the session
  room.enter(String(name));
  try {
    yield* room.channel.filter((data) => data.name !== mute).subscribe(res.sse);
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
