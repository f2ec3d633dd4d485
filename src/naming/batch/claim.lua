-- Says in which batch a question is asked.
--
-- KEYS[1] the question's claim
-- ARGV[1] token of the batch in which it is about to be asked
-- ARGV[2] token of the batch that has no answer to it; empty if there is none
-- ARGV[3] seconds until the claim expires
--
-- Returns the token of the batch in which it is asked. That is another than ARGV[1] if somebody has
-- claimed it: nothing is changed then.
-- Guarantees that of all who claim a question one asks it; claiming twice changes nothing.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[2] then
  return held
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return ARGV[1]
