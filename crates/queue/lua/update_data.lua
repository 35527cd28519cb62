-- update_data.lua: replaces what a job works on.
--
-- KEYS
--   1 the job
-- ARGV
--   1 data as JSON
-- Reply
--   0 done, -1 no such job
-- Events
--   none
-- Bounds
--   two commands
if redis.call("EXISTS", KEYS[1]) == 0 then return -1 end
redis.call("HSET", KEYS[1], "data", ARGV[1])
return 0
