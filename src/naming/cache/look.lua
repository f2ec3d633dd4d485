-- Looks for the name of equal journeys, and says who asks for it where there is none.
--
-- KEYS  1 name   2 users who have such a journey   3 claim
-- ARGV  1 who looks, to claim; '' to look only   2 milliseconds that a claim lasts
--       3 seconds that users are remembered   4 how many users make a name common
--       5.. hashes of the users that it is looked up for, no more than ARGV[4]
-- Returns {'name', NAME}; {'alone'}: too few users have it, each asks for itself; {'free'}: nobody
-- has claimed it, or who looks has not tried; {'yours'}: who looks asks; {'waits'}: another asks.
--
-- Guarantee: at any time one claim at most, and none for a name that is there. A claim ends by itself.
-- The same call again gives the same answer.

local name = redis.call('GET', KEYS[1])
if name then return {'name', name} end

local enough = tonumber(ARGV[4])
if enough > 1 then
  local known = redis.call('SCARD', KEYS[2])
  if known < enough then
    for i = 5, #ARGV do known = known + redis.call('SADD', KEYS[2], ARGV[i]) end
    redis.call('EXPIRE', KEYS[2], ARGV[3])
    if known < enough then return {'alone'} end
  end
end

if ARGV[1] == '' then return {'free'} end
if redis.call('SET', KEYS[3], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'yours'} end
if redis.call('GET', KEYS[3]) == ARGV[1] then return {'yours'} end
return {'waits'}
