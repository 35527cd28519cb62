-- promote.lua: lets a delayed job run now.
--
-- KEYS
--   1 wait  2 prioritized  3 delayed  4 active  5 marker  6 meta  7 pc  8 events
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 job id
-- Reply
--   0 done, -1 no such job, -3 not delayed
-- Events
--   `waiting` with prev `delayed`
-- Bounds
--   a constant number of commands
local id, job_key = ARGV[2], ARGV[1] .. ARGV[2]
local fields = redis.call("HMGET", job_key, "priority", "opts")
if not fields[1] then return -1 end
if redis.call("ZREM", KEYS[3], id) == 0 then return -3 end
local keys = { wait = KEYS[1], prioritized = KEYS[2], active = KEYS[4], marker = KEYS[5], pc = KEYS[7], events = KEYS[8] }
let_run(keys, read_meta(KEYS[6]), id, job_key, tonumber(fields[1]) or 0, fields[2])
return 0
