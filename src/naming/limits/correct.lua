-- Lowers what is left of the limits to what the endpoint says is left, for everybody.
--
-- KEYS  1 window
-- ARGV  1-6 see window.lua
--       7 ms for which nobody may ask   8 ms after which a request is answered
--       9.. for requests, input tokens, output tokens: what is left, '' if it did not say, and after
--       how many ms it has forgotten what was used
-- Returns 1.
--
-- Guarantee: nothing is raised, and nothing is lowered for longer than the endpoint said, a window at
-- most but for the time in which nobody may ask.

sweep()

closed = math.max(closed, now + ARGV[7])
for d = 1, 3 do
  local left, reset = tonumber(ARGV[7 + 2 * d]), math.min(tonumber(ARGV[8 + 2 * d]), WINDOW)
  if left and LIMITS[d] > 0 then
    local less = LIMITS[d] - used[d] - left
    if less > 0 then charge(d, slot_at(now + reset - WINDOW), less) end
  elseif left == 0 then
    -- There is no limit to compare it with.
    closed = math.max(closed, now + reset)
  end
end
keep(tonumber(ARGV[8]))
return 1
