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
local priority = redis.call("HGET", job_key, "priority")
if not priority then return -1 end
if redis.call("ZREM", KEYS[3], id) == 0 then return -3 end
priority = tonumber(priority)
if priority == 0 then
    redis.call("LPUSH", KEYS[1], id)
else
    redis.call("ZADD", KEYS[2], priority_score(priority, redis.call("INCR", KEYS[7])), id)
end
if not is_paused_or_maxed(read_meta(KEYS[6]), KEYS[4]) then wake_now(KEYS[5]) end
redis.call("HSET", job_key, "delay", 0)
redis.call("XADD", KEYS[8], "*", "event", "waiting", "jobId", id, "prev", "delayed")
return 0
