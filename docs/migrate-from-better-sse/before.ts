import { createChannel, createSession } from 'better-sse';
import express from 'express';

const prices = createChannel();

const app = express();

app.get('/prices', async (req, res) => {
  const session = await createSession(req, res);
  prices.register(session);
});

app.post('/prices', express.json(), (req, res) => {
  prices.broadcast(req.body, 'price');
  res.sendStatus(204);
});

app.get('/countdown', async (req, res) => {
  const session = await createSession(req, res);
  await session.iterate(countdown(), { eventName: 'count' });
});

function* countdown() {
  yield* [2, 1];
  yield 'lift-off';
}

export const server = app.listen(process.env.PORT ?? 3000);
