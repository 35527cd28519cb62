-- free_deduplication.lua: gives up the deduplication id of a job, if the job owns it.
--
-- KEYS
--   1 the job
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 job id
-- Reply
--   1 done, 0 it owns none, -1 no such job
-- Events
--   none
-- Bounds
--   a constant number of commands
local fields = redis.call("HMGET", KEYS[1], "name", "deid")
if not fields[1] then return -1 end
if not fields[2] then return 0 end
local owner_key = ARGV[1] .. "de:" .. fields[2]
if redis.call("GET", owner_key) ~= ARGV[2] then return 0 end
return redis.call("DEL", owner_key)
