import { createApp } from './app';
import { listen, portOf } from './listen';
import { backingInMemory } from './memory';

async function main(): Promise<void> {
  const backing = backingInMemory();
  const server = await listen(createApp(backing), portOf(process.env.PORT));

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, async () => {
      await server.close();
      await backing.close();
    });
  }
  console.log(`The demo is at ${server.url} (Ctrl+C ends it).`);
}

void main();
