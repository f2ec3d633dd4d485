-- Clears the way for new results of some users, where these may be written. First of a transaction:
-- what follows writes all the results, then put_back.lua undoes it where they may not.
--
-- KEYS  per user: names hash, journeys hash, where each is set aside, and what says so
-- ARGV  per user: epoch, attempt, the revision that the writer read (0 for none, 'foreign' for
--       something that it could not read and that is to be replaced)
-- Returns per user: 'written', 'stale' (a newer run, or a later attempt of the same job, was here)
-- or 'changed' (somebody wrote since the writer read: read again).
--
-- Guarantee: results never go back to an older run. A worker that lost its lease has a lower attempt
-- than the one that took over.
--
-- Nothing in here may fail once it has begun: the transaction would go on without its fence. So keys
-- of other types are looked at with care, and what to rename is looked for first.

-- Why the results of a user are to stay as they are; nil where they are to be replaced.
local function objection(journeys, epoch, attempt, read)
  local stored = redis.pcall('HGET', journeys, '_meta')
  if stored == false then
    return read ~= '0' and read ~= 'foreign' and 'changed' or nil
  end
  -- Fixed by the writer: these three come first in _meta. Of a key of another type there is no text.
  local its_epoch, its_attempt, revision = string.match(
    type(stored) == 'string' and stored or '', '^{"epoch":(%d+),"attempt":(%d+),"revision":(%d+)')
  if its_epoch then
    its_epoch, its_attempt = tonumber(its_epoch), tonumber(its_attempt)
    epoch, attempt = tonumber(epoch), tonumber(attempt)
    if its_epoch > epoch or (its_epoch == epoch and its_attempt > attempt) then return 'stale' end
  end
  return read ~= 'foreign' and revision ~= read and 'changed' or nil
end

local function set_aside(key, aside)
  if redis.call('EXISTS', key) == 1 then redis.call('RENAME', key, aside) end
end

local replies = {}
for user = 0, #KEYS / 5 - 1 do
  local names, journeys, names_aside, journeys_aside, kept = unpack(KEYS, 5 * user + 1, 5 * user + 5)
  local reply = objection(journeys, unpack(ARGV, 3 * user + 1, 3 * user + 3))
  if reply then
    redis.call('SET', kept, reply)
    set_aside(names, names_aside)
    set_aside(journeys, journeys_aside)
  else
    redis.call('DEL', names, journeys)
  end
  replies[#replies + 1] = reply or 'written'
end
return replies
