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
local line = new_line(KEYS[1], KEYS[2], KEYS[7])
line.add(id, tonumber(fields[1]) or 0, is_lifo(fields[2]))
line.flush()
if not is_paused_or_maxed(read_meta(KEYS[6]), KEYS[4]) then wake_now(KEYS[5]) end
redis.call("XADD", KEYS[8], "*", "event", "waiting", "jobId", id, "prev", "delayed")
redis.call("HSET", job_key, "delay", 0)
return 0
