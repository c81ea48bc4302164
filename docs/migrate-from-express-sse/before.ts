import express from 'express';
import SSE from 'express-sse';

const news = new SSE([{ headline: 'Nothing yet' }]);

const app = express();

app.get('/news', news.init);

app.post('/news', express.json(), (req, res) => {
  news.send(req.body, 'news');
  news.updateInit([req.body]);
  res.sendStatus(204);
});

export const server = app.listen(process.env.PORT ?? 3000);
