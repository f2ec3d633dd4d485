-- Takes back that a question is asked in a batch, which it is not.
--
-- KEYS[1] the question's claim
-- ARGV[1] token of the batch
--
-- Returns 1; 0 if it is asked in another batch, or in none, and nothing was changed.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
