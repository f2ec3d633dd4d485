-- Reserves a part of the limits of an endpoint, and of the money of a run and of the day: all of what
-- is needed or nothing, and beyond it what there is of what is wanted.
--
-- KEYS  1 window   2 what the process has reserved   3 ledger of the run   4 days
-- ARGV  1-6 see window.lua
--       7 number of the reservation, by which the process tells it from its others
--       8 ms after which a request has reached the endpoint   9 ms after which it is answered
--       10 ms at an even pace that may be used at once
--       11-14 needed: requests, input tokens, output tokens, money
--       15-18 wanted: the same, no less
--       19 money of a day, '' for any   20 '1' if it is known what tokens cost
--       21 seconds to keep the ledger   22 run id
-- Returns one of
--   {'granted', requests, input, output, money, slot of requests and input, slot of output, day}
--   {'wait', ms}        there is not so much now
--   {'money'}           there is not so much money, but calls under way may give it back
--   {'over', 'run'}     the run has not so much money left, nor will calls under way give it back;
--                       'day': the day has not
--   {'unpriced'}        the run has a budget, and this process does not know what tokens cost
--   {'never', d}        the d-th limit is less than what is needed
--
-- Guarantees: no limit is passed in any window, if requests reach the endpoint, and answers come, in the
-- time that was said: each is charged to the latest moment at which it may count. The same number
-- is granted once, however often it is asked for. What is not settled stays charged.

local reservation, run = ARGV[7], ARGV[22]
local reaches, answered, burst = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local needed, wanted = {}, {}
for i = 1, 4 do needed[i], wanted[i] = tonumber(ARGV[10 + i]), tonumber(ARGV[14 + i]) end

local before = redis.call('HMGET', KEYS[2], 'number', 'granted')
if before[1] == reservation then return cmsgpack.unpack(before[2]) end

sweep()

local day = math.floor(time[1] / 86400)

-- What is left of an amount, and whether calls under way may give back as much as is needed.
local function purse(most, key, field)
  if not most then return nil end
  local spent, reserved, ends = unpack(redis.call('HMGET', key, field, 'reserved', 'reserved_until'))
  local left = most - (spent or 0)
  local may_return = tonumber(ends or 0) > now and needed[4] <= left + tonumber(reserved or 0)
  return { left = left, lacks = needed[4] > left, may_return = may_return }
end

local of_run = purse(redis.call('HGET', KEYS[3], 'budget'), KEYS[3], 'money')
local of_day = purse(ARGV[19] ~= '' and ARGV[19], KEYS[4], day)

-- Notes for the scheduler that a call was not made, and why.
local function refuse(why, ...)
  redis.call('HSET', KEYS[3], 'exhausted', why)
  redis.call('EXPIRE', KEYS[3], ARGV[21])
  return { ... }
end

if of_run and ARGV[20] ~= '1' then return refuse('unpriced', 'unpriced') end
if of_run and of_run.lacks then
  if of_run.may_return then return { 'money' } end
  return refuse('run', 'over', 'run')
end
if of_day and of_day.lacks then
  if of_day.may_return then return { 'money' } end
  return refuse('day:' .. day, 'over', 'day')
end

local wait = closed - now
for d = 1, 3 do
  local limit = LIMITS[d]
  if limit > 0 then
    if needed[d] > limit then return { 'never', d } end
    if used[d] + needed[d] > limit then wait = math.max(wait, SLOT - now % SLOT) end
    -- What is larger than a burst waits until nothing is used up.
    local room = math.max(0, burst - stretch(d, needed[d]))
    wait = math.max(wait, pace[d] - now - room)
  end
end
if wait > 0 then return { 'wait', math.ceil(wait) } end

local granted = {}
for d = 1, 3 do
  local limit, start = LIMITS[d], math.max(pace[d], now)
  granted[d] = wanted[d]
  if limit > 0 then
    local at_pace = math.floor((now + burst - start) * limit / SPREAD)
    granted[d] = math.max(needed[d], math.min(wanted[d], limit - used[d], at_pace))
    pace[d] = start + stretch(d, granted[d])
  end
end
-- Whoever takes more than half of what is left would keep others from the rest.
local ample = (not of_run or wanted[4] <= of_run.left / 2) and (not of_day or wanted[4] <= of_day.left / 2)
granted[4] = ample and wanted[4] or needed[4]

local arrival, answer = slot_at(now + reaches), slot_at(now + answered)
charge(1, arrival, granted[1])
charge(2, arrival, granted[2])
charge(3, answer, granted[3])
keep(answered)
if granted[4] > 0 then
  redis.call('HINCRBY', KEYS[3], 'money', granted[4])
  for _, key in ipairs({ KEYS[3], KEYS[4] }) do
    redis.call('HINCRBY', key, 'reserved', granted[4])
    redis.call('HSET', key, 'reserved_until', now + answered)
  end
  redis.call('EXPIRE', KEYS[3], ARGV[21])
  if redis.call('HINCRBY', KEYS[4], day, granted[4]) == granted[4] then
    for _, past in ipairs(redis.call('HKEYS', KEYS[4])) do
      -- What was reserved before midnight is settled after it.
      if (tonumber(past) or day) < day - 1 then redis.call('HDEL', KEYS[4], past) end
    end
  end
  redis.call('EXPIRE', KEYS[4], 2 * 86400)
end

local reply = { 'granted', granted[1], granted[2], granted[3], granted[4], arrival, answer, day }
for d = 1, 3 do redis.call('HINCRBY', KEYS[2], 'held:' .. d, granted[d]) end
redis.call('HINCRBY', KEYS[2], 'held:' .. run, granted[4])
redis.call('HSET', KEYS[2], 'number', reservation, 'granted', cmsgpack.pack(reply))
-- Longer than a Redis is away: a process that is told of a call then must find what it had reserved.
redis.call('EXPIRE', KEYS[2], 86400)
return reply
