-- include/promote.lua: delayed jobs whose time has come.
-- Uses: enqueue, line. Bounds: at most 1000 jobs per call; the next call takes the rest.

-- Moves due jobs back in line. Returns the due time of the earliest that stays, or nil; and whether any moved.
local function promote_due(prefix, keys, now)
    local first = redis.call("ZRANGE", keys.delayed, 0, 0, "WITHSCORES")
    if not first[2] then return nil end
    local limit = (now + 1) * DELAYED_SLOTS
    if tonumber(first[2]) >= limit then return tonumber(first[2]) / DELAYED_SLOTS end

    local due = redis.call("ZRANGEBYSCORE", keys.delayed, 0, string.format("(%.0f", limit), "LIMIT", 0, 1000)
    push_all("ZREM", keys.delayed, due)
    local line = new_line(keys.wait, keys.prioritized, keys.pc)
    for _, id in ipairs(due) do
        local job_key = prefix .. id
        local fields = redis.call("HMGET", job_key, "priority", "opts", "name")
        -- A hash of nothing but a delay would stand for a job that was removed, and block its id for good.
        if fields[3] then
            line.add(id, tonumber(fields[1]) or 0, is_lifo(fields[2]))
            redis.call("XADD", keys.events, "*", "event", "waiting", "jobId", id, "prev", "delayed")
            redis.call("HSET", job_key, "delay", 0)
        end
    end
    line.flush()
    return earliest_due(keys.delayed), true
end
