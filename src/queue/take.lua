-- Takes up to COUNT jobs of one partition, the most urgent first: jobs whose retry is due join
-- their lane, then jobs whose worker fell silent, then new ones; the high lane before the low.
--
-- KEYS  1 high lane   2 low lane   3 retry set
-- ARGV  1 group   2 consumer   3 count   4 lease in ms
-- Returns {jobs, losses}: a job is {lane key index, entry id, deliveries, {field, value, ...}};
-- `losses` counts entries that vanished from the stream while they were leased (0 unless somebody
-- trims or deletes by hand).
--
-- Guarantees: a leased job is given away only after its worker was silent for the whole lease, and
-- every hand-over raises `deliveries`, so that (consumer, deliveries) names one lease for ever.
-- A stream or group that is missing is made.

local GROUP, CONSUMER = ARGV[1], ARGV[2]
local COUNT, LEASE = tonumber(ARGV[3]), tonumber(ARGV[4])
local PROMOTED_AT_ONCE = 64

local function with_group(stream, ...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err and string.find(reply.err, 'NOGROUP', 1, true) then
    redis.call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
    reply = redis.pcall(...)
  end
  return reply
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, PROMOTED_AT_ONCE)) do
  local waiting = cmsgpack.unpack(member)
  redis.call('XADD', KEYS[waiting.lane], '*', unpack(waiting.fields))
  redis.call('ZREM', KEYS[3], member)
end

local taken, losses = {}, 0
for lane = 1, 2 do
  local stream = KEYS[lane]
  local cursor = '0-0'
  repeat
    if #taken >= COUNT then break end
    local reply = with_group(stream, 'XAUTOCLAIM', stream, GROUP, CONSUMER, LEASE, cursor, 'COUNT', COUNT - #taken)
    if reply.err then return reply end
    cursor = reply[1]
    for _, entry in ipairs(reply[2]) do
      local held = redis.call('XPENDING', stream, GROUP, entry[1], entry[1], 1)
      taken[#taken + 1] = { lane, entry[1], held[1][4], entry[2] }
    end
    losses = losses + #reply[3]
  until cursor == '0-0'
  if #taken < COUNT then
    local reply = with_group(stream, 'XREADGROUP', 'GROUP', GROUP, CONSUMER, 'COUNT', COUNT - #taken, 'STREAMS', stream, '>')
    if reply and reply.err then return reply end
    for _, entry in ipairs(reply and reply[1][2] or {}) do
      taken[#taken + 1] = { lane, entry[1], 1, entry[2] }
    end
  end
  if #taken >= COUNT then break end
end
return { taken, losses }
