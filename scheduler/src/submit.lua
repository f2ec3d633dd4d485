-- Asks for a run, once.
--
-- KEYS  1 triggers   2 entry that was made for this request
-- ARGV  1 seconds to remember it   2.. field, value, ... of the request
-- Returns the id of the entry.
--
-- Guarantee: a call that is made again, because its reply was lost, makes no second entry.

local made = redis.call('GET', KEYS[2])
if made then return made end
local entry = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
redis.call('SET', KEYS[2], entry, 'EX', ARGV[1])
return entry
