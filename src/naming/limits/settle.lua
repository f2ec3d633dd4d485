-- Settles what a process has reserved: what was not used is given back, what is known now is counted.
--
-- KEYS  1 window   2 what the process has reserved   3 ledger of the run   4 days
-- ARGV  1-6 see window.lua
--       7 number of the settlement, larger than those before   8 seconds to keep the ledger
--       9 run id   10 ms after which a request is answered   11 how many parts follow
--       12.. per part, 11 numbers: slot of requests and input, slot of output, day; reserved: requests,
--       input tokens, output tokens, money; used: the same
--       then field, amount, ... that the ledger counts
-- Returns 1 when it was settled, 0 when it had been.
--
-- Guarantees: settled once, however often it is sent. Nobody is given back more than it had reserved
-- and not settled yet. Output counts as used from now on, since it may have come this late; more than
-- was reserved does so, too. A server that has lost the reservation counts all of what was used.

local number, run = tonumber(ARGV[7]), ARGV[9]
if tonumber(redis.call('HGET', KEYS[2], 'settled') or 0) >= number then return 0 end

sweep()

-- How much of a part is really reserved, and is not any more.
local function take(what, amount)
  local held = math.min(amount, tonumber(redis.call('HGET', KEYS[2], 'held:' .. what) or 0))
  if held > 0 then redis.call('HINCRBY', KEYS[2], 'held:' .. what, -held) end
  return held
end

-- More than this is no true number of anything, and would fail in the middle.
local MOST = 2 ^ 53

local at = 12
for _ = 1, tonumber(ARGV[11]) do
  local part = {}
  for i = 1, 11 do part[i] = math.min(tonumber(ARGV[at + i - 1]), MOST) end
  at = at + 11
  for d = 1, 3 do
    local held, spent = take(d, part[3 + d]), part[7 + d]
    if d == 3 then
      give_back(d, part[2], held)
      charge(d, slot_at(now), spent)
    elseif spent > held then
      charge(d, slot_at(now), spent - held)
    else
      give_back(d, part[1], held - spent)
    end
    pace[d] = pace[d] + stretch(d, spent - held)
  end
  local held = take(run, part[7])
  local more = part[11] - held
  if held > 0 then
    redis.call('HINCRBY', KEYS[3], 'reserved', -held)
    redis.call('HINCRBY', KEYS[4], 'reserved', -held)
  end
  if more ~= 0 then
    redis.call('HINCRBY', KEYS[3], 'money', more)
    redis.call('HINCRBY', KEYS[4], part[3], more)
  end
end
for i = at, #ARGV, 2 do redis.call('HINCRBY', KEYS[3], ARGV[i], math.min(tonumber(ARGV[i + 1]), MOST)) end
keep(tonumber(ARGV[10]))
redis.call('EXPIRE', KEYS[4], 2 * 86400)
redis.call('EXPIRE', KEYS[3], ARGV[8])
redis.call('HSET', KEYS[2], 'settled', number)
redis.call('EXPIRE', KEYS[2], 86400)
return 1
