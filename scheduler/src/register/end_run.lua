-- Ends a run that is not over yet.
--
-- KEYS  1 run hash   2 users of the run   3 set of runs that are not over   4 leader
-- ARGV  1 final state   2 seconds to keep the run   3 run id
--       4 identity of the scheduler, '' for whoever does not lead
--       5 how often the run had been reopened when it was looked at, or '' to end it whatever has
--         happened   6.. field, value, ... to set
-- Returns 1 when the run ended now, 0 when it was over already, is unknown, or was reopened, -1 when
-- another scheduler leads.
--
-- Guarantee: a run ends once, in one state, whoever comes first (the scheduler or a cancel). One
-- that is paused ends by a cancel only. Whoever replays a dead job queues it first and reopens its
-- run then. A scheduler reads how often the run was reopened first, and how many jobs are pending
-- then; so it has seen the job, or fails here.

if ARGV[4] ~= '' and redis.call('GET', KEYS[4]) ~= ARGV[4] then return -1 end
local state = redis.call('HGET', KEYS[1], 'state')
local may_end = state == 'planning' or state == 'running' or (state == 'paused' and ARGV[1] == 'cancelled')
if not may_end then return 0 end
if ARGV[5] ~= '' and (redis.call('HGET', KEYS[1], 'reopened') or '0') ~= ARGV[5] then return 0 end
-- First something that a server without memory does not refuse, or it would refuse what follows.
redis.call('UNLINK', KEYS[2])
redis.call('HSET', KEYS[1], 'state', ARGV[1])
for i = 6, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('SREM', KEYS[3], ARGV[3])
return 1
