-- Adds jobs of one run to one lane of one partition.
--
-- KEYS  1 lane   2 run hash of the partition   3 pending set   4 parked jobs of the run, and for jobs
--       that follow from others:   5 set of those of the run that were queued
-- ARGV  1 cursor: how many jobs of the run the caller believes this partition has been given, or
--         '' for jobs that follow from others   2 seconds to keep the run hash
--       3 attempts to count as made for each time that the run has restarted
--       4.. per job: job id, run id, payload, a count of the run or '', what the job adds to it
-- Returns how many jobs of the run this partition has been given by planning, or -1 when the run
-- takes none: it is cancelled, or it is paused and the jobs are planned ones; -2 when it is over. A
-- caller whose cursor was wrong changed nothing and goes on from the answer.
--
-- Guarantee: no gap and no duplicate, whenever the planner dies: jobs and cursor move together, and
-- a job that is still pending is neither added nor counted again. One that follows from another is
-- added and counted once in a run, also when it is done: a worker that lost its lease may wake up,
-- or another may do its job again, at any time. What follows from a job that was under way when its
-- run was paused is parked.

local cursor = ARGV[1]
local state, planned, restarts = unpack(redis.call('HMGET', KEYS[2], 'state', 'planned', 'restarts'))
if state == 'over' then return -2 end
if state == 'cancelled' or (state == 'paused' and cursor ~= '') then return -1 end
planned = tonumber(planned or 0)
if cursor ~= '' and tonumber(cursor) ~= planned then return planned end

local stream = state == 'paused' and KEYS[4] or KEYS[1]
local attempts = tonumber(restarts or 0) * ARGV[3]
for i = 4, #ARGV, 5 do
  local is_new = not KEYS[5] or redis.call('SADD', KEYS[5], ARGV[i]) == 1
  if is_new and redis.call('SADD', KEYS[3], ARGV[i]) == 1 then
    redis.call('XADD', stream, '*', 'job', ARGV[i], 'run', ARGV[i + 1], 'payload', ARGV[i + 2],
      'attempts', attempts, 'failures', 0, 'crashes', 0)
    redis.call('HINCRBY', KEYS[2], 'jobs', 1)
    if ARGV[i + 3] ~= '' then redis.call('HINCRBY', KEYS[2], ARGV[i + 3], ARGV[i + 4]) end
  end
  planned = planned + 1
end
if cursor ~= '' then redis.call('HSET', KEYS[2], 'planned', planned) end
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('EXPIRE', KEYS[3], ARGV[2])
if stream == KEYS[4] then redis.call('EXPIRE', KEYS[4], ARGV[2]) end
if KEYS[5] then redis.call('EXPIRE', KEYS[5], ARGV[2]) end
return planned
