-- Notes that a run is to begin again.
--
-- KEYS  1 run hash   2 set of runs that are not over   3 leader   4 users of the run
-- ARGV  1 identity of the scheduler, '' for whoever does not lead   2 run id
--       3 how often it may have begun again before; '' for any number, and also if it is done
--       4 '1' if it cannot be planned without its users, else '0'
-- Returns how often it has begun again now, 0 when it may not, -1 when another scheduler leads.
--
-- Guarantee: an end that a scheduler has decided on before comes to nothing: see end_run.lua.

if ARGV[1] ~= '' and redis.call('GET', KEYS[3]) ~= ARGV[1] then return -1 end
local state, restarts = unpack(redis.call('HMGET', KEYS[1], 'state', 'restarts'))
local by_hand = ARGV[3] == ''
if state ~= 'running' and not (by_hand and state == 'done') then return 0 end
if not by_hand and tonumber(restarts or 0) >= tonumber(ARGV[3]) then return 0 end
if ARGV[4] == '1' and redis.call('EXISTS', KEYS[4]) == 0 then return 0 end
-- First something that a server without memory does not refuse, or it would refuse what follows.
redis.call('PERSIST', KEYS[1])
restarts = redis.call('HINCRBY', KEYS[1], 'restarts', 1)
redis.call('HSET', KEYS[1], 'state', 'running')
redis.call('HINCRBY', KEYS[1], 'reopened', 1)
redis.call('HDEL', KEYS[1], 'finished', 'queued')
redis.call('SADD', KEYS[2], ARGV[2])
return restarts
