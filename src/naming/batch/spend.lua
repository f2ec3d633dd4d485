-- Spends what questions of a run may cost, before they are asked in a batch: those for which there is
-- money.
--
-- KEYS  1 costs of the batch: question to 'run day money input output'   2 ledger of the run   3 days
-- ARGV  1 run id   2 money of a day, '' for any   3 '1' if it is known what tokens cost
--       4 seconds to keep the ledger   5 seconds to keep the costs
--       6.. per question: id, money, tokens of the question, tokens of the answer
-- Returns {n, why}: the first n questions are paid, and why not the next. '': all are; 'run', 'day':
-- that has not so much money left; 'money': calls under way may give back as much; 'unpriced': the run
-- has a budget, and this process does not know what tokens cost.
--
-- Guarantees: no budget is passed, and a question is paid once in a batch, however often this is sent
-- before it is settled. What is never settled stays spent.

local costs, ledger, days = unpack(KEYS)
local run = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local day = math.floor(time[1] / 86400)

-- What is left of an amount, and what calls under way may give back of it.
local function purse(most, key, field)
  if not most then return nil end
  local spent, reserved, ends = unpack(redis.call('HMGET', key, field, 'reserved', 'reserved_until'))
  local returns = tonumber(ends or 0) > now and tonumber(reserved or 0) or 0
  return { left = most - (spent or 0), returns = returns }
end

local of_run = purse(redis.call('HGET', ledger, 'budget'), ledger, 'money')
local of_day = purse(ARGV[2] ~= '' and ARGV[2], days, day)

-- Why there is no money for so much, if there is none.
local function lacks(purse, name, money)
  if not purse or money <= purse.left then return nil end
  return money <= purse.left + purse.returns and 'money' or name
end

local paid, sum, why = 0, 0, of_run and ARGV[3] ~= '1' and 'unpriced'
for at = 6, #ARGV, 4 do
  if why then break end
  if not redis.call('HGET', costs, ARGV[at]) then
    local with = sum + ARGV[at + 1]
    why = lacks(of_run, 'run', with) or lacks(of_day, 'day', with)
    if why then break end
    local cost = { run, string.format('%d', day), ARGV[at + 1], ARGV[at + 2], ARGV[at + 3] }
    redis.call('HSET', costs, ARGV[at], table.concat(cost, ' '))
    sum = with
  end
  paid = paid + 1
end

if sum > 0 then
  redis.call('HINCRBY', ledger, 'money', sum)
  if redis.call('HINCRBY', days, day, sum) == sum then
    for _, past in ipairs(redis.call('HKEYS', days)) do
      if (tonumber(past) or day) < day - 1 then redis.call('HDEL', days, past) end
    end
  end
  redis.call('EXPIRE', days, 2 * 86400)
end
if why and why ~= 'money' then
  redis.call('HSET', ledger, 'exhausted', why == 'day' and 'day:' .. day or why)
end
redis.call('EXPIRE', ledger, ARGV[4])
redis.call('EXPIRE', costs, ARGV[5])
return { paid, why or '' }
