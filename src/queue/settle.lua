-- Ends a lease: the job is done, waits for another attempt, is dead, or is handed back.
--
-- KEYS  1 lane   2 retry set of the lane   3 dead stream   4 run hash of the partition
--       5 pending set   6 parked jobs of the run
-- ARGV  1 group   2 consumer   3 entry id   4 deliveries   5 job id   6 outcome
--       7 run id of the server when the job was handed out
--       8 how many counts follow   9.. counter, amount, ...   for the run
--       then, by the outcome
--   'done'     nothing
--   'retry'    delay in ms, then field, value, ... of the next attempt
--   'dead'     field, value, ...         of the dead letter
--   'release'  field, value, ...         of the next attempt
-- (a job that is not pending gets no other attempt)
-- Returns 1 when the outcome was applied, 0 when the lease is no longer held, -1 when the job cannot
-- be called done because the server is another one by now; then nothing was changed.
--
-- Guarantee: the delivery is at least once, the effect on progress exactly once. Only the worker
-- that holds the lease gets past the first check, and the counts move only when the job leaves the
-- pending set, so that doing this twice changes nothing; those of a part of it when its entry goes,
-- while it is pending. A server that was restarted, or took over,
-- may have lost the last of what the worker wrote, and the job is the last trace of it. An entry that
-- vanished from the stream ends nobody's job: the job is queued again. A job that is not pending has
-- ended under another entry: without an end here, one that is overtaken every time would never go. Of
-- a run that is paused no job is tried again before it goes on, of one that is cancelled none ever.

local lane, retry, dead, run, pending, parked = unpack(KEYS)
local group, consumer, entry, job, outcome = ARGV[1], ARGV[2], ARGV[3], ARGV[5], ARGV[6]

local reply = redis.pcall('XPENDING', lane, group, entry, entry, 1)
local held = not reply.err and reply[1]
if not held or held[2] ~= consumer or held[4] ~= tonumber(ARGV[4]) then return 0 end
if not ({ done = true, retry = true, dead = true, release = true })[outcome] then
  return redis.error_reply('unknown outcome ' .. outcome)
end
local counts = tonumber(ARGV[8])
local first = 9 + 2 * counts
if outcome == 'done' or counts > 0 then
  local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  -- One that does not say who it is cannot be told apart from another.
  if server and ARGV[7] ~= server then
    if outcome == 'done' then return -1 end
    counts = 0
  end
end

local again = outcome == 'retry' or outcome == 'release'
local state = again and redis.call('HGET', run, 'state')
local pends = again and redis.call('SISMEMBER', pending, job) == 1

local function rest(from)
  local values = {}
  for i = from, #ARGV do values[#values + 1] = ARGV[i] end
  return values
end

local function count()
  for i = 9, 8 + 2 * counts, 2 do redis.call('HINCRBY', run, ARGV[i], ARGV[i + 1]) end
end

-- First what frees memory: a server without any would refuse a script that begins with the others.
redis.call('XACK', lane, group, entry)
if redis.call('XDEL', lane, entry) == 0 then return 0 end
if outcome == 'done' then
  if redis.call('SREM', pending, job) == 1 then
    redis.call('HINCRBY', run, 'done', 1)
    count()
  end
elseif outcome == 'dead' then
  -- A second entry of a job that has ended already leaves no letter: each is counted as one dead job.
  if redis.call('SREM', pending, job) == 1 then
    redis.call('XADD', dead, '*', unpack(rest(first)))
    redis.call('HINCRBY', run, 'dead', 1)
    count()
  end
elseif state == 'cancelled' or not pends then
  return 1
else
  local fields = rest(outcome == 'retry' and first + 1 or first)
  if state == 'paused' then
    redis.call('XADD', parked, '*', unpack(fields))
    local kept = redis.call('TTL', run)
    if kept > 0 then redis.call('EXPIRE', parked, kept) end
  elseif outcome == 'retry' then
    local time = redis.call('TIME')
    local due = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[first])
    redis.call('ZADD', retry, due, cmsgpack.pack(fields))
    redis.call('HINCRBY', run, 'retried', 1)
  else
    redis.call('XADD', lane, '*', unpack(fields))
  end
  count()
end
return 1
