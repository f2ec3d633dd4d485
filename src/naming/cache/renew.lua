-- Makes a claim last, or ends it.
--
-- KEYS  1 claim
-- ARGV  1 who asks   2 milliseconds from now that it lasts; 0 ends it
-- Returns 1, or 0 where the claim is another's or has ended.
--
-- Guarantee: only whoever holds a claim renews or ends it.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
