import express from 'express';
import { Channel, event, sse } from 'express-yield';

const news = new Channel();
let initial: unknown[] = [{ headline: 'Nothing yet' }];

const app = express();
app.use(sse());

app.get('/news', async function* (_req, res) {
  const live = news.subscribe(res.sse); // subscribe first, so that no event is missed
  if (res.sse.lastEventId === '') yield* initial; // a client that reconnects already has it
  yield* live;
});

app.post('/news', express.json(), async (req, res) => {
  initial = [req.body];
  await news.publish(event('news', req.body));
  res.sendStatus(204);
});

export const server = app.listen(process.env.PORT ?? 3000);
