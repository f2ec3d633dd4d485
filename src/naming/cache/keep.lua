-- Keeps the name of equal journeys, and ends the claim on it.
--
-- KEYS  1 name   2 users who have such a journey   3 claim
-- ARGV  1 who asked   2 name, '' for one that no answer gives   3 seconds that it is kept
-- Returns 1, or 0 where another name is there.
--
-- Guarantee: the first name stays. Whoever asked keeps what it was told, also when its claim has
-- ended; the claim of another is left alone.

if redis.call('GET', KEYS[3]) == ARGV[1] then redis.call('DEL', KEYS[3]) end
if not redis.call('SET', KEYS[1], ARGV[2], 'NX', 'EX', ARGV[3]) then return 0 end
redis.call('DEL', KEYS[2])
return 1
