-- include/states.lua: where a job is.
-- Uses: nothing. Bounds: nine look-ups; those in lists are linear in the list, as the wire has them, and come last.

-- Returns the state's word, or nil. `waiting` covers the older paused list.
local function find_state(prefix, id)
    for _, set in ipairs({ "completed", "failed", "delayed", "prioritized", "waiting-children" }) do
        if redis.call("ZSCORE", prefix .. set, id) then return set end
    end
    if redis.call("LPOS", prefix .. "active", id) then return "active" end
    if redis.call("LPOS", prefix .. "wait", id) or redis.call("LPOS", prefix .. "paused", id) then return "waiting" end
end

-- Takes a job out of the list or set of its state and returns that state's key suffix, or nil. A job that is gone is
-- looked for in the lists only if `even_gone` asks for it.
local function leave_state(prefix, id, even_gone)
    for _, set in ipairs({ "completed", "waiting-children", "delayed", "failed", "prioritized" }) do
        if redis.call("ZREM", prefix .. set, id) == 1 then return set end
    end
    if not even_gone and redis.call("EXISTS", prefix .. id) == 0 then return end
    for _, list in ipairs({ "wait", "paused", "active" }) do
        if redis.call("LREM", prefix .. list, 1, id) == 1 then return list end
    end
end
