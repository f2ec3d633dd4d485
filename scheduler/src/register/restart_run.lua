-- Notes that a run restarts.
--
-- KEYS  1 run hash   2 set of runs that are not over   3 leader   4 users of the run
-- ARGV  1 identity of the scheduler, '' for whoever does not lead   2 run id
--       3 '1' if it cannot be planned without its users, else '0', and if nobody has asked for it:
--       4 how often it had restarted when that was decided on   5 how often it may by itself
-- Returns how often it has restarted now, 0 when it may not, -1 when another scheduler leads.
--
-- Guarantee: an end that a scheduler has decided on before comes to nothing: see end_run.lua. What
-- one decides on is done once, however often it is sent. Whoever asks for it may do so for a run that
-- is done, too, and gives the run all that it may do by itself once more.

if ARGV[1] ~= '' and redis.call('GET', KEYS[3]) ~= ARGV[1] then return -1 end
local state, restarts, by_itself = unpack(redis.call('HMGET', KEYS[1], 'state', 'restarts', 'restarts_by_itself'))
local seen, most = ARGV[4], tonumber(ARGV[5])
if state ~= 'running' and not (state == 'done' and not seen) then return 0 end
if seen and ((restarts or '0') ~= seen or tonumber(by_itself or 0) >= most) then return 0 end
if ARGV[3] == '1' and redis.call('EXISTS', KEYS[4]) == 0 then return 0 end
-- First something that a server without memory does not refuse, or it would refuse what follows.
redis.call('PERSIST', KEYS[1])
restarts = redis.call('HINCRBY', KEYS[1], 'restarts', 1)
redis.call('HSET', KEYS[1], 'state', 'running')
if seen then
  redis.call('HINCRBY', KEYS[1], 'restarts_by_itself', 1)
else
  redis.call('HDEL', KEYS[1], 'restarts_by_itself')
end
redis.call('HINCRBY', KEYS[1], 'reopened', 1)
redis.call('HDEL', KEYS[1], 'finished', 'queued')
redis.call('SADD', KEYS[2], ARGV[2])
return restarts
