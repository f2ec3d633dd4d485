-- Says which process of the server has a lane: another one after each restart and each failover.
--
-- KEYS  1 lane
-- Returns its run id.

return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
