-- retry.lua: puts a finished job back in line.
--
-- KEYS
--   1 wait  2 prioritized  3 completed  4 failed  5 active  6 marker  7 meta  8 pc  9 events
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 job id
--   3 `1` when it goes first in line
--   4 `1` when its attempts count from zero again
-- Reply
--   1 done, -1 no such job, -3 not finished
-- Events
--   `waiting` with prev `completed` or `failed`
-- Bounds
--   a constant number of commands
local id, job_key = ARGV[2], ARGV[1] .. ARGV[2]
local fields = redis.call("HMGET", job_key, "priority", "parentKey", "name")
if not fields[3] then return -1 end
local from, outcome, records = "completed", "returnvalue", { ":processed" }
if redis.call("ZREM", KEYS[3], id) == 0 then
    if redis.call("ZREM", KEYS[4], id) == 0 then return -3 end
    from, outcome, records = "failed", "failedReason", { ":failed", ":unsuccessful" }
end
redis.call("HDEL", job_key, "finishedOn", "processedOn", outcome)
if ARGV[4] == "1" then redis.call("HDEL", job_key, "atm", "ats", "stc") end

local priority = tonumber(fields[1]) or 0
if priority == 0 then
    redis.call(ARGV[3] == "1" and "RPUSH" or "LPUSH", KEYS[1], id)
else
    redis.call("ZADD", KEYS[2], priority_score(priority, redis.call("INCR", KEYS[8])), id)
end
if not is_paused_or_maxed(read_meta(KEYS[7]), KEYS[5]) then wake_now(KEYS[6]) end

-- The parent counts on this child again.
if fields[2] and redis.call("EXISTS", fields[2]) == 1 then
    local was_counted = false
    for _, suffix in ipairs(records) do
        local command = suffix == ":unsuccessful" and "ZREM" or "HDEL"
        was_counted = redis.call(command, fields[2] .. suffix, job_key) == 1 or was_counted
    end
    if was_counted then redis.call("SADD", fields[2] .. ":dependencies", job_key) end
end
redis.call("XADD", KEYS[9], "*", "event", "waiting", "jobId", id, "prev", from)
return 1
