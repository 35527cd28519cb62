-- include/parent.lua: what the end of a child means to its parent, in whatever queue the parent lives.
-- Uses: enqueue, meta. Bounds: a constant number of commands per child.
--
-- The keys of the parent's queue are derived from the child's `parent` field, because only the field knows them.

-- A released parent goes back to its queue: delayed unless it is to go at once, first in line, or among the prioritized.
local function enqueue_parent(queue, id, now, at_once)
    local fields = redis.call("HMGET", queue .. ":" .. id, "priority", "delay")
    local priority, delay = tonumber(fields[1]) or 0, not at_once and tonumber(fields[2]) or 0
    local events, marker = queue .. ":events", queue .. ":marker"
    if delay > 0 then
        local due = now + delay
        redis.call("ZADD", queue .. ":delayed", due * DELAYED_SLOTS, id)
        redis.call("XADD", events, "*", "event", "delayed", "jobId", id, "delay", due)
        wake_when_due(marker, queue .. ":delayed")
        return
    end
    if priority == 0 then
        redis.call("RPUSH", queue .. ":wait", id)
    else
        local arrival = redis.call("INCR", queue .. ":pc")
        redis.call("ZADD", queue .. ":prioritized", priority_score(priority, arrival), id)
    end
    redis.call("XADD", events, "*", "event", "waiting", "jobId", id, "prev", "waiting-children")
    if not is_paused_or_maxed(read_meta(queue .. ":meta"), queue .. ":active") then wake_now(marker) end
end

-- Lets a parent go if it waits for children: the ZREM makes sure that this happens once. One whose job is gone stays
-- where it is: there is nothing to run.
local function release_parent(queue, id, now, at_once)
    if redis.call("EXISTS", queue .. ":" .. id) == 0 then return end
    if redis.call("ZREM", queue .. ":waiting-children", id) == 1 then enqueue_parent(queue, id, now, at_once) end
end

local function release_parent_without_children(parent_key, queue, id, now)
    if redis.call("SCARD", parent_key .. ":dependencies") == 0 then release_parent(queue, id, now) end
end

local function child_completed(child_key, parent_key, parent, result, now)
    if redis.call("SREM", parent_key .. ":dependencies", child_key) == 0 then return end
    redis.call("HSET", parent_key .. ":processed", child_key, result)
    release_parent_without_children(parent_key, parent.queueKey, parent.id, now)
end

-- The child's own policy decides, first match first; a child without one leaves its parent waiting.
local function child_failed(child_key, parent_key, parent, reason, now)
    local queue, id = parent.queueKey, parent.id
    if not (parent.fpof or parent.cpof or parent.idof or parent.rdof) then return end
    if redis.call("SREM", parent_key .. ":dependencies", child_key) == 0 then return end
    if parent.fpof then
        if redis.call("EXISTS", parent_key) == 0 then return end
        redis.call("ZADD", parent_key .. ":unsuccessful", now, child_key)
        local is_waiting = redis.call("ZREM", queue .. ":waiting-children", id) == 1
        if not is_waiting and redis.call("ZREM", queue .. ":delayed", id) == 1 then
            redis.call("HSET", parent_key, "delay", 0)
            is_waiting = true
        end
        if is_waiting or not redis.call("ZSCORE", queue .. ":failed", id) then
            redis.call("HSET", parent_key, "defa", "child " .. child_key .. " failed")
        end
        if is_waiting then enqueue_parent(queue, id, now) end
    elseif parent.cpof then
        redis.call("HSET", parent_key .. ":failed", child_key, reason)
        release_parent(queue, id, now)
    else
        release_parent_without_children(parent_key, queue, id, now)
        if parent.idof then redis.call("HSET", parent_key .. ":failed", child_key, reason) end
    end
end

-- A child that is gone without an outcome no longer holds its parent up, which then does not wait for its delay either.
local function child_removed(child_key, parent_key, parent, now)
    local dependencies = parent_key .. ":dependencies"
    if redis.call("SREM", dependencies, child_key) == 0 or redis.call("SCARD", dependencies) > 0 then return end
    release_parent(parent.queueKey, parent.id, now, true)
end
