import { APPEND_FUNCTIONS, FIRST, HEAD_FUNCTION } from './append-script';

// The lease of a run is a hash beside its stream, in the same slot:
//   run      the token of its first holder, which identifies the run
//   token    the fencing token of the holder: microseconds by the clock of Redis, and always greater than the one before
//   until    when the lease expires, in milliseconds by the clock of Redis
//   attempt  identifies the request that has taken the lease, so that it can be sent again if its reply was lost
//   notify   the channel on which the holder's process is notified of the end
//   seq, id  the number and the id of the holder's last append, so that an append can be sent again
//   heir     when a process that can take over was last there
//   ended    '1' once the last entry was appended
// Redis deletes it with the stream, `ttlMs` after the end or after the lease has expired.

/** A process that can take over renews its mark every second. */
const HEIR_MS = 2_500;

const NOW = `
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)
local function text(number) return string.format('%.0f', number) end
local function hasHeir(stamp) return stamp and now - tonumber(stamp) < ${HEIR_MS} end
`;

// KEYS: the stream, the lease. ARGV: purpose, life, ttl, notify, attempt.
export const REQUEST = `${NOW}${HEAD_FUNCTION}
local run = redis.call('HMGET', KEYS[2], 'token', 'until', 'ended', 'run', 'attempt', 'heir')
local purpose = ARGV[1]
local function last()
  local id, failure = head(KEYS[1])
  if not id then error(failure.err) end
  if id == '${FIRST}' then return '' end
  return id
end
if run[1] then
  if run[3] then return {'ended', run[4], text(redis.call('PTTL', KEYS[2]))} end
  if run[5] == ARGV[5] then return {'granted', run[4], run[1], last()} end
  if tonumber(run[2]) > now then return {'held', run[4]} end
  if purpose == 'find' or purpose == 'start' then
    return {'expired', run[4], hasHeir(run[6]) and '1' or ''}
  end
else
  if purpose == 'find' or purpose == 'takeover' then return {'none'} end
  redis.call('DEL', KEYS[1])
end
local token = micros
if run[1] and tonumber(run[1]) >= token then token = tonumber(run[1]) + 1 end
local id = run[4] or text(token)
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'run', id, 'token', text(token), 'until', text(now + ARGV[2]), 'notify', ARGV[4], 'attempt', ARGV[5], 'seq', '0')
redis.call('PEXPIRE', KEYS[2], text(ARGV[2] + ARGV[3]))
return {'granted', id, text(token), last()}
`;

// What must follow an append is written before it, too, so that nothing is appended if Redis refuses it.
const APPEND_ONE = `${NOW}${APPEND_FUNCTIONS}
local function append(event, isLast)
  local failure = begin(KEYS[1])
  if failure then return nil, failure end
  local id, refused = add(KEYS[1], event, isLast)
  finish(KEYS[1])
  return id, refused
end
`;

// KEYS: the stream, the lease. ARGV: as APPEND_FUNCTIONS, the event, '1' if it is the last, token, seq, life, ttl. Returns the
// id, and the error of a command that Redis has refused since.
export const APPEND_FENCED = `${APPEND_ONE}
local run = redis.call('HMGET', KEYS[2], 'token', 'until', 'ended', 'seq', 'id')
if run[1] ~= ARGV[8] then return {run[3] and 'ended' or 'lost'} end
if tonumber(ARGV[9]) <= tonumber(run[4]) then return {'appended', run[5]} end
if run[3] then return {'ended'} end
if tonumber(run[2]) <= now then return {'lost'} end
local keep = text(ARGV[10] + ARGV[11])
redis.call('HSET', KEYS[2], 'seq', run[4])
redis.call('PEXPIRE', KEYS[2], keep)
local id, refused = append(ARGV[6], ARGV[7])
if not id then return refused end
if id == '' then return {'ended'} end
redis.call('HSET', KEYS[2], 'seq', ARGV[9], 'id', id)
if ARGV[7] == '1' then
  redis.call('HSET', KEYS[2], 'ended', '1')
  redis.call('PEXPIRE', KEYS[2], ARGV[11])
  redis.call('PEXPIRE', KEYS[1], ARGV[11])
else
  redis.call('PEXPIRE', KEYS[1], keep)
end
return {'appended', id, refused and refused.err or ''}
`;

// KEYS: the stream, the lease. ARGV: as APPEND_FUNCTIONS, the event, '1', token or '' for any, ttl, '1' to leave the run to a
// successor if there is one, '2' also if there is none yet.
export const END = `${APPEND_ONE}
local run = redis.call('HMGET', KEYS[2], 'token', 'ended', 'notify', 'heir', 'until')
if not run[1] then return 'none' end
if run[2] then return 'ended' end
if ARGV[8] ~= '' and (ARGV[8] ~= run[1] or tonumber(run[5]) <= now) then return 'lost' end
if ARGV[10] == '2' or ARGV[10] == '1' and hasHeir(run[4]) then
  redis.call('HSET', KEYS[2], 'until', '0')
  return 'released'
end
redis.call('HSET', KEYS[2], 'until', run[5])
redis.call('PEXPIRE', KEYS[2], ARGV[9])
local id, refused = append(ARGV[6], ARGV[7])
if not id then return refused end
redis.call('HSET', KEYS[2], 'ended', '1')
redis.call('PEXPIRE', KEYS[1], ARGV[9])
redis.pcall('PUBLISH', run[3], run[1] .. ' ' .. ARGV[9] .. ' ' .. KEYS[2])
return 'done'
`;

// Renews the leases that a process holds, and checks those that it watches. KEYS: for each run, the stream and the lease.
// ARGV: for all runs, a JSON list of run, token or '', life, ttl, and '1' if this process can take over.
export const CHECK = `${NOW}
local states = {}
for i, item in ipairs(cjson.decode(ARGV[1])) do
  local stream, lease = KEYS[2 * i - 1], KEYS[2 * i]
  local run = redis.call('HMGET', lease, 'run', 'token', 'until', 'ended', 'heir')
  if run[1] ~= item[1] then
    states[i] = 'gone'
  elseif run[4] then
    states[i] = 'ended ' .. text(redis.call('PTTL', lease))
  elseif tonumber(run[3]) <= now then
    states[i] = hasHeir(run[5]) and 'expired 1' or 'expired'
  elseif run[2] == item[2] then
    local keep = text(item[3] + item[4])
    redis.call('HSET', lease, 'until', text(now + item[3]))
    redis.call('PEXPIRE', lease, keep)
    redis.call('PEXPIRE', stream, keep)
    states[i] = 'renewed'
  else
    states[i] = 'held'
  end
  local isWatched = states[i] == 'held' or string.find(states[i], '^expired')
  if item[5] == '1' and isWatched then redis.call('HSET', lease, 'heir', text(now)) end
end
return states
`;
