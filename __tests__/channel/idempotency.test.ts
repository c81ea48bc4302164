import { Channel, type EventLog, event, memoryLog, type PublishOptions } from '../../lib';

const publish = (channel: Channel, options: unknown) => channel.publish('a', options as PublishOptions);

describe('publish() with an idempotencyKey', () => {
  it('appends the event once, and returns its id each time', async () => {
    const channel = new Channel<string>({ replay: true });

    const first = await channel.publish('a', { idempotencyKey: 'key' });
    const again = await channel.publish(event('b', 'b'), { idempotencyKey: 'key' });
    const other = await channel.publish('c', { idempotencyKey: 'other' });
    await channel.publish('d', { idempotencyKey: undefined });

    expect(again).toBe(first);
    expect(other).not.toBe(first);
    const subscription = channel.subscribe();
    const received = [];
    for (let n = 0; n < 3; n++) received.push((await subscription.next()).value);
    await subscription.return();
    expect(received).toMatchObject([{ id: first, data: 'a' }, { id: other, data: 'c' }, { data: 'd' }]);
  });

  it('delivers to its subscribers what follows a repeated key', async () => {
    const channel = new Channel<string>();
    const subscription = channel.subscribe();
    const next = subscription.next();

    await channel.publish('a', { idempotencyKey: 'a' });
    await channel.publish('b', { idempotencyKey: 'b' });
    await channel.publish('a', { idempotencyKey: 'a' });
    await channel.publish('c');

    const received = [await next, await subscription.next(), await subscription.next()];
    expect(received.map(({ value }) => (value as { data: unknown }).data)).toEqual(['a', 'b', 'c']);
    await subscription.return();
  });

  it.each([
    ['', 'RangeError'],
    ['x'.repeat(257), 'RangeError'],
    [7, 'TypeError'],
    [null, 'TypeError'],
  ])('refuses the key %p', async (idempotencyKey, name) => {
    const channel = new Channel();

    await expect(publish(channel, { idempotencyKey })).rejects.toMatchObject({
      name,
      code: 'ERR_SSE_INVALID_OPTION',
      message: expect.stringContaining('idempotencyKey'),
    });
  });

  it('refuses any other second argument', async () => {
    const channel = new Channel();

    for (const second of [{}, { price: 7 }, 'key']) {
      await expect(publish(channel, second)).rejects.toMatchObject({ code: 'ERR_SSE_INVALID_EVENT' });
    }
    await expect(publish(channel, { idempotencyKey: 'a', price: 7 })).rejects.toMatchObject({
      code: 'ERR_SSE_INVALID_OPTION',
    });
  });

  it('rejects with a log that does not know keys, and appends nothing', async () => {
    const inner = memoryLog();
    const append = jest.fn<string, Parameters<EventLog['append']>>();
    const log = Object.assign(Object.create(inner), { append, appendOnce: undefined }) as EventLog;
    const channel = new Channel({ log });

    await expect(publish(channel, { idempotencyKey: 'key' })).rejects.toMatchObject({
      code: 'ERR_SSE_INVALID_OPTION',
      message: expect.stringContaining('appendOnce()'),
    });
    expect(append).not.toHaveBeenCalled();
  });
});
