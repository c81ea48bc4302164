import { PUBLISH_FUNCTION } from './channel-name';

/** The id before all others. It is the head of a key that does not exist. */
export const FIRST = '0-0';

/**
 * From this size on, an event is followed by a small entry that stands for it as the head. Redis has to copy the whole last
 * entry to find the head: 0.4 ms for 100 kB (measured).
 */
const LARGE_BYTES = 4_096;

/**
 * The Lua function `head(key)`: the id of the last entry, '1' if it ends the log, and the id of the tail if there is one.
 * The stored fields of an entry are `before` (the id of the entry before it), `event` (the record as JSON), in the last entry
 * `over`, and `lost` (an id that the publisher knows and the stream does not). The tail of a
 * large entry has `tail-of` (the id of that entry) and `over`; it is deleted when the next entry is appended.
 */
export const HEAD_FUNCTION = `
local function head(key)
  local rows = redis.pcall('XREVRANGE', key, '+', '(${FIRST}', 'COUNT', 1)
  if rows.err then
    if string.find(rows.err, 'Invalid stream ID') then rows.err = 'ERR Redis 6.2 or later is required, this one is older' end
    return nil, rows
  end
  local last = rows[1]
  if last then
    local id, ended, tail = last[1], '', nil
    for i = 1, #last[2], 2 do
      local name = last[2][i]
      if name == 'over' then ended = '1' end
      if name == 'tail-of' then id, tail = last[2][i + 1], last[1] end
    end
    return id, ended, tail
  end
  if redis.call('EXISTS', key) == 0 then return '${FIRST}', '' end
  -- A stream whose entries were all trimmed still knows its last generated id.
  local info = redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1], '' end
  end
end
`;

/**
 * The Lua functions `begin(key)`, `add(key, event, isLast)` and `finish(key)`, which append to a log. ARGV: the newest id of
 * the log that the publisher knows, or '!' and an id that the stream has lost; an id that the new ones must exceed, maxEvents,
 * maxAgeMs or '', the channel.
 *
 * A call that Redis refuses has appended nothing: the rights for trimming and expiry are used before the entry is added, and
 * an entry that cannot be published is deleted. The age limit is exact ('='): the approximate '~' could keep a hundred expired
 * events of a log with little traffic.
 */
export const APPEND_FUNCTIONS = `${HEAD_FUNCTION}${PUBLISH_FUNCTION}local function parts(id)
  local time, sequence = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(time), tonumber(sequence)
end
local function isBefore(a, b)
  if a == b then return false end
  local aTime, aSequence = parts(a)
  local bTime, bSequence = parts(b)
  return aTime < bTime or (aTime == bTime and aSequence < bSequence)
end
local log
-- Returns the error of Redis, or nothing.
local function begin(key)
  local before, ended, tail = head(key)
  if not before then return ended end
  log = {before = before, ended = ended, tail = tail, id = '*'}
  if ended == '1' then return end
  if string.sub(ARGV[1], 1, 1) == '!' then log.lost = string.sub(ARGV[1], 2) end
  local isAhead = isBefore(before, ARGV[2])
  if not isAhead and ARGV[4] == '' then return end
  local clock = redis.call('TIME')
  local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
  if isAhead then
    local time, sequence = parts(ARGV[2])
    if now <= time then
      log.id = string.format('%.0f-%.0f', time, sequence + 1)
      now = time
    end
    if not log.lost and isBefore(before, ARGV[1]) then log.lost = ARGV[1] end
  end
  if ARGV[4] ~= '' then
    redis.call('XTRIM', key, 'MINID', '=', string.format('%.0f', now - ARGV[4]))
    log.mustExpire = redis.call('PEXPIRE', key, ARGV[4]) == 0
  end
end
-- Returns the id, and what Redis has refused since; '' if the log has ended; nil and the error if nothing was appended.
local function add(key, event, isLast)
  if log.ended == '1' then return '' end
  local fields = {'before', log.before, 'event', event}
  local position = log.before
  if log.lost then
    fields[5], fields[6] = 'lost', log.lost
    position = position .. ',' .. log.lost
  end
  if isLast == '1' then fields[#fields + 1], fields[#fields + 2] = 'over', '1' end
  local id = redis.pcall('XADD', key, 'MAXLEN', '~', ARGV[3], log.id, unpack(fields))
  -- Entries with greater ids were deleted.
  if type(id) == 'table' and log.id ~= '*' then
    id = redis.pcall('XADD', key, 'MAXLEN', '~', ARGV[3], '*', unpack(fields))
  end
  if type(id) == 'table' then return nil, id end
  local published = publish(ARGV[5], id .. ' ' .. position .. ' ' .. event)
  if type(published) == 'table' then
    if redis.pcall('XDEL', key, id) == 1 then return nil, published end
    published.err = 'PUBLISH: ' .. published.err
  else
    published = nil
  end
  if log.mustExpire then redis.pcall('PEXPIRE', key, ARGV[4]) end
  log = {before = id, ended = isLast, tail = log.tail, id = '*', isLarge = #event >= ${LARGE_BYTES}, hasAdded = true}
  return id, published
end
local function finish(key)
  if not log.hasAdded then return end
  if log.tail then redis.pcall('XDEL', key, log.tail) end
  if not log.isLarge then return end
  if log.ended == '1' then
    redis.pcall('XADD', key, '*', 'tail-of', log.before, 'over', '1')
  else
    redis.pcall('XADD', key, '*', 'tail-of', log.before)
  end
end
`;

/**
 * Appends several events. KEYS: the stream and, if an event has an idempotency key, two hashes with the ids of the newest
 * keys: once the first has maxEvents keys, it replaces the second. ARGV: as {@link APPEND_FUNCTIONS}, '1' if the size of the
 * first hash is checked, and for each event: the event, '1' if it is the last, and the idempotency key or ''.
 *
 * Returns for each event its id, the id and the error of a later step, '' if the log has ended, or '!' and the error.
 * The hash is written before an event is appended, so that a refusal is not noticed too late; a key without an id is new.
 */
export const APPEND = `${APPEND_FUNCTIONS}
local canRemember = false
local function knownId(name)
  local id = redis.call('HGET', KEYS[2], name)
  if not id or id == '' then id = redis.call('HGET', KEYS[3], name) end
  if id and id ~= '' then return id end
end
local function append(event, isLast, name)
  local known = name ~= '' and knownId(name)
  if known then return known end
  if name ~= '' and log.ended ~= '1' and not canRemember then
    redis.call('HSET', KEYS[2], name, '')
    canRemember = true
  end
  local id, refused = add(KEYS[1], event, isLast)
  if not id then return nil, refused end
  if name ~= '' and id ~= '' then
    local stored = redis.pcall('HSET', KEYS[2], name, id)
    if type(stored) == 'table' then refused = {err = 'HSET: ' .. stored.err} end
    if ARGV[4] ~= '' then redis.pcall('PEXPIRE', KEYS[2], ARGV[4]) end
  end
  return refused and id .. ' ' .. refused.err or id
end
local failure = begin(KEYS[1])
if failure then return failure end
if ARGV[6] == '1' and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[3]) then
  redis.call('UNLINK', KEYS[3])
  redis.call('RENAME', KEYS[2], KEYS[3])
end
local results = {}
for i = 7, #ARGV, 3 do
  local result, refused = append(ARGV[i], ARGV[i + 1], ARGV[i + 2])
  if not result and #results == 0 then return refused end
  results[#results + 1] = result or '!' .. refused.err
end
finish(KEYS[1])
return results
`;

// Reads the time in the same script, because each node of a cluster has its own clock.
export const READ_HEAD = `${HEAD_FUNCTION}
local time = redis.call('TIME')
local id, ended = head(KEYS[1])
if not id then return ended end
return {id, ended, time[1], time[2]}
`;
