/** Streams for signed-in clients, which end with the session. Run it with `npx tsx docs/auth.ts`. */
import { randomUUID } from 'node:crypto';
import cookieParser from 'cookie-parser';
import cors from 'cors';
import express, { type Request, type RequestHandler, type Response } from 'express';
import { Channel, sse } from 'express-yield';

const { PAGE_ORIGIN = 'http://localhost:5173', PORT = 3000 } = process.env;
const TICKET_MS = 30_000;
const MAX_STREAM_MS = Number(process.env.MAX_STREAM_MS ?? 15 * 60_000);

interface Session {
  readonly user: string;
  /** Aborts when the session ends. */
  readonly revoked: AbortController;
}

export const sessions = new Map<string, Session>();
const tickets = new Map<string, Session>();
export const news = new Channel();

/** A browser sends a cookie automatically; a token goes into a header, which only `fetch` can set. */
function keyOf({ cookies, headers }: Request): string {
  return cookies.session ?? headers.authorization?.replace(/^Bearer /, '') ?? '';
}

const signedIn: RequestHandler = (req, res, next) => {
  const { ticket } = req.query;
  const session = typeof ticket === 'string' ? tickets.get(ticket) : sessions.get(keyOf(req));
  if (typeof ticket === 'string') tickets.delete(ticket); // valid once, because the URL appears in access logs
  if (session === undefined || session.revoked.signal.aborted) return void res.sendStatus(401);
  res.locals.session = session;
  next();
};

const app = express();
app.use(cors({ origin: PAGE_ORIGIN, credentials: true }), cookieParser(), express.json());
app.use(sse({ maxDurationMs: MAX_STREAM_MS })); // every client is authenticated again, even if its session was not revoked
app.get('/', (_req, res) => res.sendFile('auth.html', { root: 'docs' }));

app.get('/events', signedIn, ({ query }, res) => {
  const { revoked }: Session = res.locals.session;
  const lastEventId = res.sse.lastEventId || String(query.lastEventId ?? '');
  return news.subscribe({ lastEventId, signal: revoked.signal });
});

app.post('/tickets', signedIn, (_req, res) => {
  const ticket = randomUUID();
  tickets.set(ticket, res.locals.session);
  setTimeout(() => tickets.delete(ticket), TICKET_MS).unref();
  res.json({ ticket });
});

app.post('/sessions', ({ body }, res) => {
  const key = randomUUID();
  sessions.set(key, { user: String(body.user), revoked: new AbortController() }); // check a password here
  res.cookie('session', key, { httpOnly: true, sameSite: 'lax' }).status(201).json({ token: key });
});

app.delete('/sessions', signedIn, (req, res) => {
  const { revoked }: Session = res.locals.session;
  sessions.delete(keyOf(req));
  revoked.abort();
  res.clearCookie('session').sendStatus(204);
});

/** Ends all streams of a user, whatever their routes return; their clients reconnect, and must authenticate again. */
export function signOut(user: string): void {
  for (const [key, session] of sessions) if (session.user === user) sessions.delete(key);
  for (const stream of sse.streams()) {
    const { locals } = stream.res as Response;
    if (locals.session?.user === user) stream.close();
  }
}

export const server = app.listen(PORT);
