-- Settles what questions of a run have cost in a batch that is over: the difference to what was spent
-- when it was made.
--
-- KEYS  1 costs of the batch: see spend.lua   2 ledger of the run   3 days
-- ARGV  1 run id   2 seconds to keep the ledger
--       3.. per question: id; 1 if it was answered, else 0; money, tokens of the question, of these from
--       a cache, tokens of the answer: each '' for what was expected
-- Returns how many were settled.
--
-- Guarantees: each is settled once, however often and by whomever this is sent. A run that waits for
-- the money that this gives back goes on.

local costs, ledger, days = unpack(KEYS)
local settled, more, of_day = 0, 0, {}
local counts = { calls = 0, tokens_in = 0, tokens_cached = 0, tokens_out = 0 }
for at = 3, #ARGV, 6 do
  local open = redis.call('HGET', costs, ARGV[at])
  local run, day, money, input, output =
    string.match(open or '', '^(%S+) (%d+) (%d+) (%d+) (%d+)$')
  if run == ARGV[1] then
    redis.call('HDEL', costs, ARGV[at])
    settled = settled + 1
    local difference = (tonumber(ARGV[at + 2]) or money) - money
    more = more + difference
    of_day[day] = (of_day[day] or 0) + difference
    counts.calls = counts.calls + ARGV[at + 1]
    counts.tokens_in = counts.tokens_in + (tonumber(ARGV[at + 3]) or input)
    counts.tokens_cached = counts.tokens_cached + (tonumber(ARGV[at + 4]) or 0)
    counts.tokens_out = counts.tokens_out + (tonumber(ARGV[at + 5]) or output)
  end
end
if settled == 0 then return 0 end

for name, count in pairs(counts) do
  if count > 0 then redis.call('HINCRBY', ledger, name, count) end
end
if more ~= 0 then redis.call('HINCRBY', ledger, 'money', more) end
for day, difference in pairs(of_day) do
  -- One that is over for long is counted no more.
  if redis.call('HGET', days, day) then redis.call('HINCRBY', days, day, difference) end
end
if more < 0 and redis.call('HGET', ledger, 'exhausted') ~= 'unpriced' then
  redis.call('HDEL', ledger, 'exhausted')
end
redis.call('EXPIRE', ledger, ARGV[2])
return settled
