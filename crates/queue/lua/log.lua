-- log.lua: appends lines to the log of a job.
--
-- KEYS
--   1 the job  2 its logs
-- ARGV
--   1 how many of the newest lines are kept; 0 keeps all
--   2.. the lines
-- Reply
--   how many lines the log has, -1 no such job
-- Events
--   none
-- Bounds
--   the caller passes at most 1000 lines
if redis.call("EXISTS", KEYS[1]) == 0 then return -1 end
local length = redis.call("RPUSH", KEYS[2], unpack(ARGV, 2))
local kept = tonumber(ARGV[1])
if kept == 0 or length <= kept then return length end
redis.call("LTRIM", KEYS[2], -kept, -1)
return kept
