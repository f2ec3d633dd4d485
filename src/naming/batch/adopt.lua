-- Says who may create a batch at the provider, and whether that is done.
--
-- KEYS[1] record of the batch
-- ARGV[1] the process that asks
-- ARGV[2] milliseconds for which it may create the batch, if nobody else does
-- ARGV[3] seconds until the record expires
--
-- Returns {'made', ID} if the provider has it under that id; {'lost'} if it never will have; {'mine',
-- FILE} if the process may create it from now on, FILE uploaded or empty; {'others', MS} if another
-- process may for that long.
-- Guarantees that at no time two processes may create it.
local record = redis.call('HMGET', KEYS[1], 'id', 'lost', 'owner', 'until', 'file')
local id, lost, owner, till, file = record[1], record[2], record[3], record[4], record[5]
if id then
  return {'made', id}
end
if lost then
  return {'lost'}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if owner and owner ~= ARGV[1] and tonumber(till) > now then
  return {'others', tostring(tonumber(till) - now)}
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', string.format('%d', now + ARGV[2]))
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {'mine', file or ''}
