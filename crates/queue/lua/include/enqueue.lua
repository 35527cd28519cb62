-- include/enqueue.lua: scores, markers and the batched way into the lists and sets of a queue.
-- Uses: nothing. Bounds: `push_all` passes at most 1000 values to a command, whatever the batch.

-- Delayed scores keep twelve bits below the due time, so that jobs due in the same millisecond keep their order.
local DELAYED_SLOTS = 4096
-- Priority scores keep 32 bits below the priority for the order of arrival.
local PRIORITY_BAND = 4294967296

local function push_all(command, key, values)
    for first = 1, #values, 1000 do
        redis.call(command, key, unpack(values, first, math.min(first + 999, #values)))
    end
end

local function wake_now(marker_key)
    redis.call("ZADD", marker_key, 0, "0")
end

-- The earliest due time in milliseconds, or nil when nothing is delayed.
local function earliest_due(delayed_key)
    local first = redis.call("ZRANGE", delayed_key, 0, 0, "WITHSCORES")
    return first[2] and tonumber(first[2]) / DELAYED_SLOTS
end

local function wake_when_due(marker_key, delayed_key)
    local due = earliest_due(delayed_key)
    if due then redis.call("ZADD", marker_key, due, "1") end
end

-- Gives each job added in one call its score behind those already due in the same millisecond.
local function delayed_scorer(delayed_key)
    local last_by_due = {}
    return function(due_ms)
        local lowest = due_ms * DELAYED_SLOTS
        local highest = lowest + DELAYED_SLOTS - 1
        local last = last_by_due[due_ms]
        if not last then
            local found = redis.call("ZREVRANGEBYSCORE", delayed_key, highest, lowest, "WITHSCORES", "LIMIT", 0, 1)
            last = found[2] and tonumber(found[2]) or lowest - 1
        end
        local score = math.min(last + 1, highest)
        last_by_due[due_ms] = score
        return score
    end
end

local function priority_score(priority, arrival)
    return priority * PRIORITY_BAND + arrival % PRIORITY_BAND
end
