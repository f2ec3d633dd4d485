-- Replaces the results of one user.
--
-- KEYS  1 names hash   2 journeys hash
-- ARGV  1 epoch   2 attempt   3 the revision that the writer read, 0 for none, 'foreign' for
--       something that it could not read and that is to be replaced
--       4 seconds until the results expire, 0 for never   5 _meta of the new results
--       6.. per journey: id, name, journey as JSON
-- Returns 'written', 'stale' (a newer run, or a later attempt of the same job, was here) or
-- 'changed' (somebody wrote since the writer read: read again).
--
-- Guarantee: a reader sees all of the old results or all of the new, and results never go back to
-- an older run. A worker that lost its lease has a lower attempt than the one that took over.

local stored = redis.call('HGET', KEYS[2], '_meta')
if stored then
  -- Fixed by the writer: these three come first in _meta.
  local epoch, attempt, revision = string.match(stored, '^{"epoch":(%d+),"attempt":(%d+),"revision":(%d+)')
  if epoch then
    epoch, attempt = tonumber(epoch), tonumber(attempt)
    local mine, my_attempt = tonumber(ARGV[1]), tonumber(ARGV[2])
    if epoch > mine or (epoch == mine and attempt > my_attempt) then return 'stale' end
  end
  if ARGV[3] ~= 'foreign' and revision ~= ARGV[3] then return 'changed' end
elseif ARGV[3] ~= '0' and ARGV[3] ~= 'foreign' then
  return 'changed'
end

-- First something that a server without memory refuses. After a DEL it would take all the rest,
-- however little memory there is.
redis.call('HSET', KEYS[2], '_meta', ARGV[5])
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[2], '_meta', ARGV[5])
for i = 6, #ARGV, 3 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
end
if ARGV[4] ~= '0' then
  redis.call('EXPIRE', KEYS[1], ARGV[4])
  redis.call('EXPIRE', KEYS[2], ARGV[4])
end
return 'written'
