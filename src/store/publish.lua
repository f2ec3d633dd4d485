-- Puts new results of some users in the place of the old ones, where these may be replaced. Last of
-- the transaction that has written the new ones beside them.
--
-- KEYS  per user: new names hash, names hash, new journeys hash, journeys hash. A user without
--       journeys has no new names hash
-- ARGV  per user: epoch, attempt, the revision that the writer read (0 for none, 'foreign' for
--       something that it could not read and that is to be replaced)
-- Returns per user: 'written', 'stale' (a newer run, or a later attempt of the same job, was here)
-- or 'changed' (somebody wrote since the writer read: read again).
--
-- Guarantee: a reader sees all of the old results or all of the new, and results never go back to
-- an older run. A worker that lost its lease has a lower attempt than the one that took over. Should
-- this script fail, the old results are what they were.

-- Why the results of a user are to stay as they are; nil where they are to be replaced.
local function objection(journeys, epoch, attempt, read)
  local stored = redis.call('HGET', journeys, '_meta')
  if not stored then
    return read ~= '0' and read ~= 'foreign' and 'changed' or nil
  end
  -- Fixed by the writer: these three come first in _meta.
  local its_epoch, its_attempt, revision =
    string.match(stored, '^{"epoch":(%d+),"attempt":(%d+),"revision":(%d+)')
  if its_epoch then
    its_epoch, its_attempt = tonumber(its_epoch), tonumber(its_attempt)
    epoch, attempt = tonumber(epoch), tonumber(attempt)
    if its_epoch > epoch or (its_epoch == epoch and its_attempt > attempt) then return 'stale' end
  end
  return read ~= 'foreign' and revision ~= read and 'changed' or nil
end

local replies = {}
for user = 0, #KEYS / 4 - 1 do
  local new_names, names, new_journeys, journeys = unpack(KEYS, 4 * user + 1, 4 * user + 4)
  local reply = objection(journeys, unpack(ARGV, 3 * user + 1, 3 * user + 3))
  if reply then
    redis.call('DEL', new_names, new_journeys)
  else
    if redis.call('EXISTS', new_names) == 1 then
      redis.call('RENAME', new_names, names)
    else
      redis.call('DEL', names)
    end
    redis.call('RENAME', new_journeys, journeys)
  end
  replies[#replies + 1] = reply or 'written'
end
return replies
