import express, { type Response } from 'express';

const clients = new Set<Response>();

const app = express();

app.get('/chat', (_req, res) => {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  res.flushHeaders();
  clients.add(res);
  const keepAlive = setInterval(() => res.write(': keep-alive\n\n'), 15_000);
  res.on('close', () => {
    clearInterval(keepAlive);
    clients.delete(res);
  });
});

app.post('/chat', express.text(), (req, res) => {
  for (const client of clients) client.write(`event: line\ndata: ${req.body}\n\n`);
  res.sendStatus(204);
});

export const server = app.listen(process.env.PORT ?? 3000);
