-- include/iteration_state.lua: whether the current job of a scheduler will still make the next one.
-- Uses: nothing. Bounds: eight look-ups, three of them linear in a list.

-- `pending` for a job that is still to be claimed, or being run: whoever claims it goes on. Otherwise the scheduler has
-- stopped: its job has `finished`, is `lost` (in no list or set) or `missing`.
local function iteration_state(prefix, id)
    for _, set in ipairs({ "delayed", "prioritized", "waiting-children" }) do
        if redis.call("ZSCORE", prefix .. set, id) then return "pending" end
    end
    for _, list in ipairs({ "active", "wait", "paused" }) do
        if redis.call("LPOS", prefix .. list, id) then return "pending" end
    end
    for _, set in ipairs({ "completed", "failed" }) do
        if redis.call("ZSCORE", prefix .. set, id) then return "finished" end
    end
    return redis.call("EXISTS", prefix .. id) == 1 and "lost" or "missing"
end
