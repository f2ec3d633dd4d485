-- Notes something of a batch that its owner has found out.
--
-- KEYS[1] record of the batch
-- ARGV[1] the process
-- ARGV[2] field: id, file or lost
-- ARGV[3] its value
--
-- Returns 1; 0 if another process is the owner by now, and nothing was changed.
-- Guarantees that a process that was held up does not overwrite what its successor knows.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return 1
