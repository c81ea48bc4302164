import { siblingKey, slotOf } from './slot';

/** Ends the name of a channel whose messages stay on the nodes of its slot. The name of every other channel ends differently. */
const SHARDED = '@shard';

/**
 * The channel of a stream.
 *
 * @param database `undefined` on a cluster, where the channel is in the slot of the key, so that only its nodes have the
 *   messages. A key that no other name can share a slot with gets a channel that all nodes have
 */
export function channelOf(key: string, database: number | undefined): string {
  if (database !== undefined) return `${key}@${database}`;
  const name = `${siblingKey(key, '')}${SHARDED}`;
  return slotOf(name) === slotOf(key) ? name : `${key}@0`;
}

export function isSharded(channel: string): boolean {
  return channel.endsWith(SHARDED);
}

/**
 * The Lua function `publish(channel, message)`, which returns an error as a table. Before version 7, Redis has no sharded
 * messages; subscribers then find out on the same node.
 */
export const PUBLISH_FUNCTION = `
local function publish(channel, message)
  if string.sub(channel, -${SHARDED.length}) ~= '${SHARDED}' then return redis.pcall('PUBLISH', channel, message) end
  local reply = redis.pcall('SPUBLISH', channel, message)
  if type(reply) ~= 'table' or not string.find(reply.err, 'nknown') then return reply end
  return redis.pcall('PUBLISH', channel, message)
end
`;
