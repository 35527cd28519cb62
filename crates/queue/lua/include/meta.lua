-- include/meta.lua: the queue's settings, read once per call.
-- Uses: nothing. Bounds: one HMGET, and one HSET the first time a queue is used.

-- Returns {max_events, paused, concurrency, rate_max, rate_duration}; a limit that is not set is nil.
local function read_meta(meta_key)
    local fields = redis.call("HMGET", meta_key, "opts.maxLenEvents", "paused", "concurrency", "max", "duration")
    local max_events = tonumber(fields[1])
    if not max_events then
        max_events = 10000
        redis.call("HSET", meta_key, "opts.maxLenEvents", max_events)
    end
    return {
        max_events = max_events,
        paused = fields[2] and true or false,
        concurrency = tonumber(fields[3]),
        rate_max = tonumber(fields[4]),
        rate_duration = tonumber(fields[5])
    }
end

-- Whether no job may start now: workers must not be woken for what they cannot claim.
local function is_paused_or_maxed(meta, active_key)
    if meta.paused then return true end
    return meta.concurrency ~= nil and redis.call("LLEN", active_key) >= meta.concurrency
end
