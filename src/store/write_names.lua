-- Gives names to journeys of one user.
--
-- KEYS  1 names hash   2 journeys hash
-- ARGV  1 the epoch of the results that were named
--       2.. per journey: id, signature, name source, name, journey as JSON
-- Returns how many names were written.
--
-- Guarantee: a name is written only to the state of the journey that was named: same run, same
-- signature, and nobody named it in between.

local meta = redis.call('HGET', KEYS[2], '_meta')
if not meta or string.match(meta, '^{"epoch":(%d+)') ~= ARGV[1] then return 0 end

local written = 0
for i = 2, #ARGV, 5 do
  local journey = redis.call('HGET', KEYS[2], ARGV[i])
  -- Quotes inside JSON strings are escaped, so these can only be the fields themselves.
  if journey
    and string.find(journey, '"signature":"' .. ARGV[i + 1] .. '"', 1, true)
    and string.find(journey, '"name_source":"' .. ARGV[i + 2] .. '"', 1, true) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 3])
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 4])
    written = written + 1
  end
end
if written > 0 then
  -- An extraction that read before this has to read again, or it would write over the names.
  local head, revision, tail = string.match(meta, '^(.-"revision":)(%d+)(.*)$')
  redis.call('HSET', KEYS[2], '_meta', head .. string.format('%d', tonumber(revision) + 1) .. tail)
end
return written
