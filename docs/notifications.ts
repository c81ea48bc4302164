/** Notifications with a channel for each user. Run it with `npx tsx docs/notifications.ts`. */
import express from 'express';
import { Channel, event, sse } from 'express-yield';

const IDLE_MS = Number(process.env.IDLE_MS ?? 5 * 60_000);

/** In place of your database. */
const unread = new Map<string, string[]>();

/** The channels of users who are connected, or were connected within the last `IDLE_MS`. */
export const inboxes = new Map<string, { channel: Channel; idle: NodeJS.Timeout }>();

function inboxOf(user: string) {
  const inbox = inboxes.get(user) ?? openInbox(user);
  inbox.idle.refresh();
  return inbox;
}

function openInbox(user: string) {
  const channel = new Channel();
  const drop = () => channel.size === 0 && inboxes.delete(user);
  const inbox = { channel, idle: setTimeout(drop, IDLE_MS).unref() };
  inboxes.set(user, inbox);
  return inbox;
}

const app = express();
app.use(sse());
app.use(express.json());
app.get('/', (_req, res) => res.sendFile('notifications.html', { root: 'docs' }));

// In your app, take the user from the session, not from the URL.
app.get('/users/:user/notifications', async function* ({ params: { user } }, res) {
  const { channel, idle } = inboxOf(user);
  try {
    const live = channel.subscribe(res.sse); // subscribe before the count is read
    yield event('unread', await countUnread(user), { id: live.lastEventId });
    yield* live;
  } finally {
    idle.refresh();
  }
});

app.post('/users/:user/notifications', async ({ params: { user }, body }, res) => {
  unread.set(user, [...(unread.get(user) ?? []), body.text]);
  const notification = { text: body.text, unread: await countUnread(user) };
  await inboxes.get(user)?.channel.publish(event('notification', notification));
  res.sendStatus(204);
});

app.delete('/users/:user/notifications', async ({ params: { user } }, res) => {
  unread.delete(user);
  await inboxes.get(user)?.channel.publish(event('unread', 0)); // resets the badge in every tab
  res.sendStatus(204);
});

async function countUnread(user: string): Promise<number> {
  return unread.get(user)?.length ?? 0;
}

export const server = app.listen(process.env.PORT ?? 3000);
