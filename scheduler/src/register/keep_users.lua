-- Makes a copy of a cohort that of a run.
--
-- KEYS  1 the copy   2 users of the run   3 leader
-- ARGV  1 identity of the scheduler, '' for whoever does not lead   2 seconds to keep them
-- Returns 1 when it is that now, 0 when the run had one, -1 when another scheduler leads. In either
-- case the copy is gone.
--
-- Guarantee: of several that copy at once, the first decides who is in the run.

if ARGV[1] ~= '' and redis.call('GET', KEYS[3]) ~= ARGV[1] then
  redis.call('UNLINK', KEYS[1])
  return -1
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('UNLINK', KEYS[1])
  return 0
end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1
