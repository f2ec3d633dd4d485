-- Says how many calls a process may have under way, of those that all processes may have together.
--
-- KEYS  1 slots: process to 'held wanted until'
-- ARGV  1 process   2 slots of all processes   3 ms after which a silent process is forgotten
--       4 calls that the process has under way   5 how many it wants
-- Returns how many it may have from now on.
--
-- Guarantee: all processes together have no more calls under way than there are slots, as long as none
-- is silent for longer than was said while it has some, and none begins any while it asks. Who holds more than its fair share gives way to
-- who holds less and wants more, as soon as its calls end.

local process, limit, under_way, wants = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local taken, processes, short = 0, 1, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local held, wanted, ends = string.match(all[i + 1], '^(%d+) (%d+) (%d+)$')
  held, wanted = tonumber(held), tonumber(wanted)
  if not held or tonumber(ends) <= now then
    redis.call('HDEL', KEYS[1], all[i])
  elseif all[i] ~= process then
    taken = taken + held
    if wanted > 0 or held > 0 then processes = processes + 1 end
    if wanted > held then short[#short + 1] = held end
  end
end

local fair = math.max(1, math.floor(limit / processes))
local most = limit - taken
for _, held in ipairs(short) do
  if held < fair then most = math.min(most, fair) end
end
local may = math.max(math.min(wants, most), 0)
-- What is under way cannot be taken back.
local holds = math.max(under_way, may)
redis.call('HSET', KEYS[1], process, string.format('%d %d %d', holds, wants, now + ARGV[3]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return may
