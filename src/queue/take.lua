-- Takes one job of one lane of one partition. Jobs whose retry is due join their lane first; then
-- one whose worker fell silent goes before a new one.
--
-- KEYS  1 lane   2 retry set of the lane   3 whether the lane is paused   4 dead stream
-- ARGV  1 group   2 consumer   3 lease in ms
-- Returns {losses, job}: a job is {entry id, deliveries, {field, value, ...}}, or false when there
-- is none; `losses` counts entries that vanished from the stream while they were leased (0 unless
-- somebody trims or deletes by hand).
--
-- Guarantees: a leased job is given away only after its worker was silent for the whole lease, and
-- every hand-over raises `deliveries`, so that (consumer, deliveries) names one lease for ever.
-- A stream or group that is missing is made. A lane that is paused gives nothing out, and what waits
-- for another attempt goes on waiting.

local lane, retry = KEYS[1], KEYS[2]
local group, consumer, lease = ARGV[1], ARGV[2], ARGV[3]
local PROMOTED_AT_ONCE = 64
-- Fields that a job may have: some more than this version writes, and no more than Lua can pass on.
local MOST_FIELDS = 1000
if redis.call('EXISTS', KEYS[3]) == 1 then return { 0, false } end

local function with_group(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err and string.find(reply.err, 'NOGROUP', 1, true) then
    redis.call('XGROUP', 'CREATE', lane, group, '0', 'MKSTREAM')
    reply = redis.pcall(...)
  end
  return reply
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, member in ipairs(redis.call('ZRANGEBYSCORE', retry, '-inf', now, 'LIMIT', 0, PROMOTED_AT_ONCE)) do
  local readable, fields = pcall(cmsgpack.unpack, member)
  local added
  if readable and type(fields) == 'table' and #fields <= MOST_FIELDS then
    added = redis.pcall('XADD', lane, '*', unpack(fields))
  else
    added = redis.pcall('XADD', KEYS[4], '*', 'error', 'SJ404: what waited for another attempt cannot be read',
      'worker', consumer, 'lane', string.match(lane, '%a+$'), 'entry', '0-0', 'deliveries', 0, 'counted', 0,
      'member', member)
  end
  -- No memory for it: it waits on, and jobs that are there already can still be taken.
  if type(added) == 'table' and added.err then break end
  redis.call('ZREM', retry, member)
end

local losses = 0
local cursor = '0-0'
repeat
  local reply = with_group('XAUTOCLAIM', lane, group, consumer, lease, cursor, 'COUNT', 1)
  if reply.err then return reply end
  cursor = reply[1]
  losses = losses + #reply[3]
  local entry = reply[2][1]
  if entry then
    local held = redis.call('XPENDING', lane, group, entry[1], entry[1], 1)[1]
    return { losses, { entry[1], held[4], entry[2] } }
  end
until cursor == '0-0'

local reply = with_group('XREADGROUP', 'GROUP', group, consumer, 'COUNT', 1, 'STREAMS', lane, '>')
if reply and reply.err then return reply end
local entry = reply and reply[1][2][1]
return { losses, entry and { entry[1], 1, entry[2] } or false }
