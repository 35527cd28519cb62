-- change_delay.lua: gives a delayed job another delay, counted from now.
--
-- KEYS
--   1 delayed  2 marker  3 meta  4 events  5 the job
-- ARGV
--   1 job id
--   2 delay in ms
--   3 the caller's clock, epoch ms
-- Reply
--   0 done, -1 no such job, -3 not delayed
-- Events
--   `delayed`
-- Bounds
--   a constant number of commands
if redis.call("EXISTS", KEYS[5]) == 0 then return -1 end
local due = tonumber(ARGV[3]) + tonumber(ARGV[2])
local score = delayed_scorer(KEYS[1])(due)
if redis.call("ZREM", KEYS[1], ARGV[1]) == 0 then return -3 end
redis.call("HSET", KEYS[5], "delay", ARGV[2])
note_restart(KEYS[5], redis.call("HGET", KEYS[5], "opts"), due)
redis.call("ZADD", KEYS[1], score, ARGV[1])
redis.call("XADD", KEYS[4], "MAXLEN", "~", read_meta(KEYS[3]).max_events, "*", "event", "delayed", "jobId", ARGV[1],
    "delay", due)
wake_when_due(KEYS[2], KEYS[1])
return 0
