-- Queues jobs of a run again whose entries have vanished from one partition.
--
-- KEYS  1 lane   2 run hash of the partition   3 pending set
-- ARGV  1 how often the run had restarted when they were missed   2 attempts to count as made
--       3.. per job: job id, run id, payload
-- Returns how many were queued.
--
-- Guarantee: only a job that is still pending is queued, and a second entry of one that was there
-- after all changes no count: only the first that ends takes the job out of the pending set.

local state, restarts = unpack(redis.call('HMGET', KEYS[2], 'state', 'restarts'))
if state or tonumber(restarts or 0) ~= tonumber(ARGV[1]) then return 0 end
local queued = 0
for i = 3, #ARGV, 3 do
  if redis.call('SISMEMBER', KEYS[3], ARGV[i]) == 1 then
    redis.call('XADD', KEYS[1], '*', 'job', ARGV[i], 'run', ARGV[i + 1], 'payload', ARGV[i + 2],
      'attempts', ARGV[2], 'failures', 0, 'crashes', 0)
    redis.call('HINCRBY', KEYS[2], 'requeued', 1)
    queued = queued + 1
  end
end
return queued
