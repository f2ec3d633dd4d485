-- Takes jobs of a run out of one lane of one partition, a slice at a time: first those that wait
-- for another attempt, then those in the lane.
--
-- KEYS  1 lane   2 retry set of the lane   3 run hash of the partition   4 parked jobs of the run
-- ARGV  1 group   2 run id
--       3 why: 'cancelled' drops every job, 'paused' parks those that nobody holds, a number drops
--         every job of a run that is to restart for the so-manieth time
--       4 where to begin: 'retry 0', or what the last call returned   5 entries to look at
--       6 seconds to keep what is parked
-- Returns where to go on, or '' when the lane is through or there is no reason (any more).
--
-- Guarantee: when the lane is through, nothing of the run is in it or waits for it but what joined
-- it meanwhile; mark_run.lua comes before this, so of a run that is cancelled or paused nothing
-- does. A worker that holds a job that is dropped finds its lease lost at the next renewal or when
-- it settles.

local lane, retry, run, parked = unpack(KEYS)
local group, count = ARGV[1], tonumber(ARGV[5])

local state, restarts = unpack(redis.call('HMGET', run, 'state', 'restarts'))
local again = tonumber(ARGV[3])
if again then
  if tonumber(restarts or 0) >= again or state == 'cancelled' then return '' end
elseif state ~= ARGV[3] then
  return ''
end
local parks = ARGV[3] == 'paused'

-- Fields that a job may have: some more than this version writes, and no more than Lua can pass on.
-- What has more, or cannot be read, is left to whoever takes it.
local MOST_FIELDS = 1000

local function of_run(fields)
  if type(fields) ~= 'table' or #fields > MOST_FIELDS then return false end
  for i = 1, #fields, 2 do
    if fields[i] == 'run' then return fields[i + 1] == ARGV[2] end
  end
  return false
end

local function is_held(entry)
  local reply = redis.pcall('XPENDING', lane, group, entry, entry, 1)
  return not reply.err and reply[1] ~= nil
end

local function park(fields)
  -- First something that a server without memory does not refuse: afterwards there is more of it.
  redis.call('EXPIRE', run, ARGV[6])
  redis.call('XADD', parked, '*', unpack(fields))
  redis.call('EXPIRE', parked, ARGV[6])
end

local cursor = string.match(ARGV[4], '^retry (%d+)$')
if cursor then
  local reply = redis.call('ZSCAN', retry, cursor, 'COUNT', count)
  for i = 1, #reply[2], 2 do
    local member = reply[2][i]
    local readable, fields = pcall(cmsgpack.unpack, member)
    if readable and of_run(fields) then
      if parks then park(fields) end
      redis.call('ZREM', retry, member)
    end
  end
  -- What becomes due meanwhile joins the lane at its end, where it is still found.
  return reply[1] == '0' and '-' or 'retry ' .. reply[1]
end

local entries = redis.call('XRANGE', lane, ARGV[4], '+', 'COUNT', count)
for _, entry in ipairs(entries) do
  if of_run(entry[2]) then
    if not parks then
      redis.pcall('XACK', lane, group, entry[1])
      redis.call('XDEL', lane, entry[1])
    elseif not is_held(entry[1]) then
      park(entry[2])
      redis.call('XDEL', lane, entry[1])
    end
  end
end
if #entries < count then return '' end
return '(' .. entries[#entries][1]
