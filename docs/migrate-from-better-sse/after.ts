import express from 'express';
import { Channel, event, sse } from 'express-yield';

const prices = new Channel();

const app = express();
app.use(sse());

app.get('/prices', () => prices);

app.post('/prices', express.json(), async (req, res) => {
  await prices.publish(event('price', req.body));
  res.sendStatus(204);
});

app.get('/countdown', async function* () {
  // A string is sent unchanged; better-sse sends its JSON, which your clients may parse.
  for (const count of countdown()) yield event('count', JSON.stringify(count));
});

function* countdown() {
  yield* [2, 1];
  yield 'lift-off';
}

export const server = app.listen(process.env.PORT ?? 3000);
