-- include/states.lua: where a job is.
-- Uses: nothing. Bounds: eight look-ups; those in lists are linear in the list, as the wire has them.

-- Returns the state's word, or nil. `waiting` covers the older paused list.
local function find_state(prefix, id)
    for _, set in ipairs({ "completed", "failed", "delayed", "prioritized" }) do
        if redis.call("ZSCORE", prefix .. set, id) then return set end
    end
    if redis.call("LPOS", prefix .. "active", id) then return "active" end
    if redis.call("LPOS", prefix .. "wait", id) or redis.call("LPOS", prefix .. "paused", id) then return "waiting" end
    if redis.call("ZSCORE", prefix .. "waiting-children", id) then return "waiting-children" end
end

local STATE_KEY = { waiting = "wait" }

-- Takes a job out of the list or set of its state and returns that state's key suffix, or nil.
local function leave_state(prefix, id)
    local state = find_state(prefix, id)
    if not state then return nil end
    local suffix = STATE_KEY[state] or state
    if state ~= "waiting" and state ~= "active" then
        redis.call("ZREM", prefix .. suffix, id)
    elseif redis.call("LREM", prefix .. suffix, 0, id) == 0 then
        redis.call("LREM", prefix .. "paused", 0, id)
        return "paused"
    end
    return suffix
end
