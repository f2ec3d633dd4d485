-- Replaces the results of one user.
--
-- KEYS  1 names hash   2 journeys hash
-- ARGV  1 epoch   2 attempt   3 the revision that the writer read, 0 for none
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
  if not epoch then return redis.error_reply('_meta of ' .. KEYS[2] .. ' is not one that Sojourn writes') end
  epoch, attempt = tonumber(epoch), tonumber(attempt)
  local mine, my_attempt = tonumber(ARGV[1]), tonumber(ARGV[2])
  if epoch > mine or (epoch == mine and attempt > my_attempt) then return 'stale' end
  if revision ~= ARGV[3] then return 'changed' end
elseif ARGV[3] ~= '0' then
  return 'changed'
end

redis.call('DEL', KEYS[1], KEYS[2])
for i = 6, #ARGV, 3 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
end
redis.call('HSET', KEYS[2], '_meta', ARGV[5])
if ARGV[4] ~= '0' then
  redis.call('EXPIRE', KEYS[1], ARGV[4])
  redis.call('EXPIRE', KEYS[2], ARGV[4])
end
return 'written'
