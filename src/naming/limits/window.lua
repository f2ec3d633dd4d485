-- The window of a model endpoint, as all processes share it. Stands before each script that reads or
-- changes it.
--
-- KEYS  1 window
-- ARGV  1 ms of the window   2 ms of a slot   3 ms over which a limit is spread
--       4 5 6 limits of a window: requests, input tokens, output tokens; 0 for none
--
-- The hash has `K:1`, `K:2`, `K:3` for requests, input and output tokens that are charged to slot K,
-- the K-th slot since 1970; `used:1`, ... for their sums; `swept`, the last slot that counts no more;
-- `pace:1`, ... until when (ms since 1970) the limit is used up at an even pace; `closed` until when
-- nobody may ask.
--
-- Guarantee: what is charged to a slot is part of the sum until a whole window after the slot's end,
-- by the clock of the server. A clock that goes back makes it count for longer.

local WINDOW, SLOT, SPREAD = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local LIMITS = { tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]) }

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local fields = redis.call('HMGET', KEYS[1], 'used:1', 'used:2', 'used:3', 'pace:1', 'pace:2', 'pace:3',
  'closed', 'swept')
local used, pace = {}, {}
for d = 1, 3 do
  used[d], pace[d] = tonumber(fields[d] or 0), tonumber(fields[3 + d] or 0)
end
local closed = tonumber(fields[7] or 0)
local ended = math.floor((now - WINDOW) / SLOT) - 1
local swept = tonumber(fields[8] or ended)

local function slot_at(ms)
  return math.floor(ms / SLOT)
end

local function add(d, slot, amount)
  if amount == 0 then return end
  local field = slot .. ':' .. d
  if redis.call('HINCRBY', KEYS[1], field, amount) == 0 then redis.call('HDEL', KEYS[1], field) end
  redis.call('HINCRBY', KEYS[1], 'used:' .. d, amount)
  used[d] = used[d] + amount
end

local function charge(d, slot, amount)
  -- One that is swept is never looked at again.
  add(d, math.max(slot, swept + 1), amount)
end

-- Takes back a charge, as far as it is there.
local function give_back(d, slot, amount)
  if slot <= swept then return end
  local there = tonumber(redis.call('HGET', KEYS[1], slot .. ':' .. d) or 0)
  add(d, slot, -math.min(amount, there))
end

-- How long an amount uses up the limit, at an even pace.
local function stretch(d, amount)
  return LIMITS[d] > 0 and amount / LIMITS[d] * SPREAD or 0
end

-- Forgets what counts no more.
local function sweep()
  for slot = swept + 1, ended do
    -- Nothing is charged to any slot. While the endpoint is closed for hours there are very many.
    if used[1] + used[2] + used[3] == 0 then break end
    local charged = redis.call('HMGET', KEYS[1], slot .. ':1', slot .. ':2', slot .. ':3')
    for d = 1, 3 do add(d, slot, -tonumber(charged[d] or 0)) end
  end
  if ended > swept then
    swept = ended
    redis.call('HSET', KEYS[1], 'swept', swept)
  end
end

-- Writes what has changed; `ms` is how far ahead the last slot may lie.
local function keep(ms)
  redis.call('HSET', KEYS[1], 'swept', swept, 'closed', closed, 'pace:1', pace[1], 'pace:2', pace[2],
    'pace:3', pace[3])
  redis.call('PEXPIRE', KEYS[1], math.max(ms, closed - now) + WINDOW + 2 * SLOT)
end

