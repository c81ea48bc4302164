import express from 'express';
import { Channel, event, sse } from 'express-yield';

const lines = new Channel<string>();

const app = express();
app.use(sse());

app.get('/chat', () => lines);

app.post('/chat', express.text(), async (req, res) => {
  await lines.publish(event('line', req.body));
  res.sendStatus(204);
});

export const server = app.listen(process.env.PORT ?? 3000);
