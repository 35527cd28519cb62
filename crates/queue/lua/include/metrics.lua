-- include/metrics.lua: how many jobs finished in each minute, as BullMQ's workers count them.
-- Uses: enqueue. Bounds: a constant number of commands, and one per 1000 minutes that passed without a count, up to
-- `max_data_points` minutes.

local MINUTE_MS = 60000

-- Counts `count` jobs of a kind (`completed` or `failed`) that finished now. A minute is closed by the first job that
-- finishes in a later one, so a batch has the outcome of its jobs one by one at the same time.
local function count_minutes(prefix, kind, count, max_data_points, now)
    if count == 0 then return end
    local meta_key = prefix .. "metrics:" .. kind
    local before = redis.call("HINCRBY", meta_key, "count", count) - count
    local previous = redis.call("HMGET", meta_key, "prevTS", "prevCount")
    local previous_ms = tonumber(previous[1])
    if not previous_ms then
        redis.call("HSET", meta_key, "prevTS", now, "prevCount", 0)
        return
    end
    local passed = math.floor(now / MINUTE_MS) - math.floor(previous_ms / MINUTE_MS)
    local minutes = math.min(passed, max_data_points)
    if minutes < 1 then return end
    local points = { before - (tonumber(previous[2]) or 0) }
    for minute = 2, minutes do points[minute] = 0 end
    push_all("LPUSH", meta_key .. ":data", points)
    redis.call("LTRIM", meta_key .. ":data", 0, max_data_points - 1)
    redis.call("HSET", meta_key, "prevTS", now, "prevCount", before)
end
