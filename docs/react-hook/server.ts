/** The page of this recipe and its streams. Run it with `npx tsx docs/react-hook/server.ts`. */
import { setTimeout } from 'node:timers/promises';
import { buildSync } from 'esbuild';
import express from 'express';
import { Channel, event, sse } from 'express-yield';

const PAGE = `<!doctype html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<body><script src="/page.js"></script>
`;

export const prices = new Channel();
export const job = new Channel({ replay: true });

const app = express();
app.use(sse({ retryMs: 500 }));
app.get('/prices', () => prices);
app.get('/job', () => job);
app.get('/', (_req, res) => res.send(PAGE));

const options = { bundle: true, write: false, jsx: 'automatic' } as const;
const { outputFiles } = buildSync({ ...options, entryPoints: ['docs/react-hook/page.tsx'] });
app.get('/page.js', (_req, res) => res.type('js').send(outputFiles[0]?.text));

export const server = app.listen(process.env.PORT ?? 3000);

if (require.main === module) void publish();

async function publish(): Promise<void> {
  const publishPrice = () => prices.publish(event('price', { symbol: 'ACME', price: Math.random() }));
  setInterval(() => publishPrice().catch(console.error), 500);
  for (let percent = 10; percent <= 100; percent += 10) {
    await setTimeout(500);
    await job.publish(event('progress', { percent }));
  }
  await job.end();
}
