-- stalled.lua: gives jobs whose worker went silent back to their queue. A job is taken for lost when it has no lock
-- and had none to show for a whole interval: it was marked at one check and is still marked at the next.
--
-- KEYS
--   1 stalled  2 stalled-check  3 active  4 wait  5 prioritized  6 marker  7 meta  8 repeat  9 events
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 the worker's clock, epoch ms
--   3 interval between checks in ms
--   4 how often a job may stall before it fails
-- Reply
--   ids of the jobs that went back in line; false when another worker has checked within the interval
-- Events
--   `waiting` and `stalled` per job
-- Bounds
--   proportional to the active jobs, which are as many as there are slots; 1000 values per command
if not redis.call("SET", KEYS[2], ARGV[2], "PX", ARGV[3], "NX") then return false end
local prefix, events = ARGV[1], KEYS[9]
local meta = read_meta(KEYS[7])
redis.call("XTRIM", events, "MAXLEN", "~", meta.max_events)

local suspects, back = redis.call("SMEMBERS", KEYS[1]), {}
local waiting, prioritized = {}, {}
redis.call("DEL", KEYS[1])
for first = 1, #suspects, 1000 do
    local last = math.min(first + 999, #suspects)
    local lock_keys = {}
    for index = first, last do lock_keys[#lock_keys + 1] = prefix .. suspects[index] .. ":lock" end
    local locks = redis.call("MGET", unpack(lock_keys))
    for index = first, last do
        local id = suspects[index]
        if not locks[index - first + 1] and redis.call("LREM", KEYS[3], 1, id) > 0 then
            local job_key = prefix .. id
            if redis.call("EXISTS", job_key) == 1 then
                local stalled = redis.call("HINCRBY", job_key, "stc", 1)
                local scheduler, priority = unpack(redis.call("HMGET", job_key, "rjk", "priority"))
                local is_scheduled = scheduler and redis.call("ZSCORE", KEYS[8], scheduler)
                if stalled > tonumber(ARGV[4]) and not is_scheduled then
                    redis.call("HSET", job_key, "defa", "job stalled more than allowable limit")
                end
                back[#back + 1] = id
                -- It goes before those of its own priority, and a job without one before all.
                priority = tonumber(priority) or 0
                if priority == 0 then
                    waiting[#waiting + 1] = id
                else
                    prioritized[#prioritized + 1] = priority * PRIORITY_BAND
                    prioritized[#prioritized + 1] = id
                end
                redis.call("XADD", events, "*", "event", "waiting", "jobId", id, "prev", "active")
                redis.call("XADD", events, "*", "event", "stalled", "jobId", id)
            end
        end
    end
end
push_all("RPUSH", KEYS[4], waiting)
push_all("ZADD", KEYS[5], prioritized)
push_all("SADD", KEYS[1], redis.call("LRANGE", KEYS[3], 0, -1))
if #back > 0 and not is_paused_or_maxed(meta, KEYS[3]) then wake_now(KEYS[6]) end
return back
