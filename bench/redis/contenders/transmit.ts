import { RedisTransport } from '@boringnode/bus/transports/redis';
import type { Serializable, SubscribeHandler } from '@boringnode/bus/types/main';
import { Transmit } from '@boringnode/transmit';
import express, { type Request, type Response } from 'express';
import type { Contender } from '../contender';

const CHANNEL = 'quotes';

/** The package's transport, which also exposes when Redis has answered: `broadcast()` and the constructor return no promise. */
class AwaitableTransport extends RedisTransport {
  published: Promise<void> | undefined;
  subscribed: Promise<void> | undefined;

  override publish(channel: string, message: Serializable): Promise<void> {
    this.published = super.publish(channel, message);
    return this.published;
  }

  override subscribe<T extends Serializable>(channel: string, handler: SubscribeHandler<T>): Promise<void> {
    this.subscribed = super.subscribe(channel, handler);
    return this.subscribed;
  }
}

/**
 * `@boringnode/transmit` with its Redis transport. Its clients open a stream and subscribe it to channels with a second
 * request. Here the server does both on the first request, because only deliveries are measured.
 */
export const transmit: Contender = {
  name: 'transmit',
  exact: false,
  async join(redisPort) {
    const transport = new AwaitableTransport({ host: '127.0.0.1', port: redisPort });
    const server = new Transmit<unknown>({ pingInterval: false, transport: null }, transport);
    await transport.subscribed;
    let streams = 0;
    const app = express();
    app.get('/quotes', async (request: Request, response: Response) => {
      const uid = String(streams++);
      server.createStream({ uid, context: undefined, request, response });
      await server.subscribe({ uid, channel: CHANNEL, context: undefined, skipAuthorization: true });
    });
    return {
      listener: app,
      size: () => server.getSubscribersFor(CHANNEL).length,
      publish: (quote) => {
        server.broadcast(CHANNEL, { ...quote });
        return transport.published ?? Promise.reject(new Error('Expected a message to Redis.'));
      },
    };
  },
};
