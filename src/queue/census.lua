-- Says which jobs are in a lane, among parked jobs, or wait for another attempt, a slice at a time.
--
-- KEYS  1 a stream or a retry set
-- ARGV  1 where to begin: '-' for a stream, '0' for a retry set, or what the last call returned
--       2 entries to look at
-- Returns where to go on, or '' at the end; then run id, job id, run id, job id, ... What is no job
-- is left out. Nothing is changed.

local found = { '' }

local function note(fields)
  local run, job
  for i = 1, #fields, 2 do
    if fields[i] == 'run' then run = fields[i + 1] end
    if fields[i] == 'job' then job = fields[i + 1] end
  end
  if run and job then
    found[#found + 1] = run
    found[#found + 1] = job
  end
end

if string.match(ARGV[1], '^%d+$') then
  local reply = redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
  for i = 1, #reply[2], 2 do
    local readable, fields = pcall(cmsgpack.unpack, reply[2][i])
    if readable and type(fields) == 'table' then note(fields) end
  end
  if reply[1] ~= '0' then found[1] = reply[1] end
else
  local entries = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
  for _, entry in ipairs(entries) do note(entry[2]) end
  if #entries == tonumber(ARGV[2]) then found[1] = '(' .. entries[#entries][1] end
end
return found
