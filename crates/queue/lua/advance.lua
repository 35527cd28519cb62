-- advance.lua: makes the next job of a scheduler, once its current one has been claimed.
--
-- KEYS
--   1 repeat  2 wait  3 prioritized  4 delayed  5 active  6 marker  7 meta  8 id  9 pc  10 events
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 scheduler id
--   3 slot of the claimed job, epoch ms
--   4 slot of the next job, epoch ms
--   5 options of the next job as JSON
--   6 the worker's clock, epoch ms
--   7 priority
-- Reply
--   1 made, 0 not: the scheduler is gone or has moved on, or the job exists
-- Events
--   `added` and `delayed` or `waiting`; `duplicated` for a job that exists
-- Bounds
--   a constant number of commands
local prefix, scheduler, now = ARGV[1], ARGV[2], tonumber(ARGV[6])
local events = KEYS[10]
local current = redis.call("ZSCORE", KEYS[1], scheduler)
if not current or string.format("%.0f", tonumber(current)) ~= ARGV[3] then return 0 end

local id = "repeat:" .. scheduler .. ":" .. ARGV[4]
local job_key = prefix .. id
if redis.call("EXISTS", job_key) == 1 then
    redis.call("XADD", events, "*", "event", "duplicated", "jobId", id)
    return 0
end
local scheduler_key = prefix .. "repeat:" .. scheduler
local template = redis.call("HMGET", scheduler_key, "name", "data")
redis.call("ZADD", KEYS[1], ARGV[4], scheduler)
redis.call("HINCRBY", scheduler_key, "ic", 1)
redis.call("INCR", KEYS[8])

local meta = read_meta(KEYS[7])
local name, due, priority = template[1] or "", tonumber(ARGV[4]), tonumber(ARGV[7])
local delay = math.max(0, due - now)
redis.call("HSET", job_key, "name", name, "data", template[2] or "{}", "opts", ARGV[5], "timestamp", now,
    "delay", delay, "priority", priority, "rjk", scheduler)
redis.call("XADD", events, "MAXLEN", "~", meta.max_events, "*", "event", "added", "jobId", id, "name", name)
if delay > 0 then
    redis.call("ZADD", KEYS[4], delayed_scorer(KEYS[4])(due), id)
    redis.call("XADD", events, "*", "event", "delayed", "jobId", id, "delay", due)
    wake_when_due(KEYS[6], KEYS[4])
    return 1
end
if priority > 0 then
    redis.call("ZADD", KEYS[3], priority_score(priority, redis.call("INCR", KEYS[9])), id)
else
    redis.call("LPUSH", KEYS[2], id)
end
redis.call("XADD", events, "*", "event", "waiting", "jobId", id)
if not is_paused_or_maxed(meta, KEYS[5]) then wake_now(KEYS[6]) end
return 1
