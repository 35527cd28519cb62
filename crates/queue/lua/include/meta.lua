-- include/meta.lua: the queue's settings, read once per call.
-- Uses: nothing. Bounds: one HMGET, and one HSET the first time a queue is used.

local DEFAULT_MAX_EVENTS = 10000

-- The largest number that every client reads exactly.
local MAX_NUMBER = 9007199254740991

-- A setting as a whole number that commands take, or nil. What is below 1 and no whole number is 1.
local function whole(text)
    local number = tonumber(text)
    if not number or number ~= number then return nil end
    if number > 0 and number < 1 then return 1 end
    return math.max(-1, math.min(math.floor(number), MAX_NUMBER))
end

-- Returns {max_events, paused, concurrency, rate_max, rate_duration}; a limit that is not set is nil.
local function read_meta(meta_key)
    local fields = redis.call("HMGET", meta_key, "opts.maxLenEvents", "paused", "concurrency", "max", "duration")
    local max_events = whole(fields[1])
    if not fields[1] then redis.call("HSET", meta_key, "opts.maxLenEvents", DEFAULT_MAX_EVENTS) end
    -- One that no stream can be trimmed to is as good as none.
    if not max_events or max_events < 0 or max_events == MAX_NUMBER then max_events = DEFAULT_MAX_EVENTS end
    return {
        max_events = max_events,
        paused = fields[2] and true or false,
        concurrency = whole(fields[3]),
        rate_max = whole(fields[4]),
        rate_duration = whole(fields[5])
    }
end

-- Whether no job may start now: workers must not be woken for what they cannot claim.
local function is_paused_or_maxed(meta, active_key)
    if meta.paused then return true end
    return meta.concurrency ~= nil and redis.call("LLEN", active_key) >= meta.concurrency
end
