-- include/tree.lua: a job and the children below it, in whatever queues they live.
-- Uses: enqueue, meta, parent, remove, dedup, states. Bounds: the caller counts a tree, and
-- what it takes to find its jobs, before it removes it.
--
-- The keys of the children's queues are derived from the children's own keys, which end with the id.

-- Where a job keeps its children, in the order in which they are removed.
local CHILD_KEYS = { ":processed", ":failed", ":unsuccessful", ":dependencies" }
local READ_CHILDREN = {
    [":processed"] = function(key) return redis.call("HKEYS", key) end,
    [":failed"] = function(key) return redis.call("HKEYS", key) end,
    [":unsuccessful"] = function(key) return redis.call("ZRANGE", key, 0, -1) end,
    [":dependencies"] = function(key) return redis.call("SMEMBERS", key) end
}
local COUNT_CHILDREN = {
    [":processed"] = "HLEN", [":failed"] = "HLEN", [":unsuccessful"] = "ZCARD", [":dependencies"] = "SCARD"
}

local function has_children(job_key)
    local keys = {}
    for index, suffix in ipairs(CHILD_KEYS) do keys[index] = job_key .. suffix end
    return redis.call("EXISTS", unpack(keys)) > 0
end

-- How many entries of lists are looked at to take jobs out of line; `limit` is how many may be.
local function new_effort(limit)
    local effort, length_by_prefix = { entries = 0 }, {}
    local function lists_of(prefix)
        local length = length_by_prefix[prefix]
        if not length then
            length = 0
            for _, list in ipairs({ "wait", "paused", "active" }) do length = length + redis.call("LLEN", prefix .. list) end
            length_by_prefix[prefix] = length
        end
        return length
    end
    -- What has finished is found in a set, and what is gone is not looked for.
    function effort.add(job_key)
        local prefix = split_job_key(job_key)
        if not prefix or lists_of(prefix) == 0 then return end
        local name, finished = unpack(redis.call("HMGET", job_key, "name", "finishedOn"))
        if name and not finished then effort.entries = effort.entries + lists_of(prefix) end
    end
    function effort.is_too_much() return effort.entries > limit end
    return effort
end

-- How many jobs there are from a job downwards; more than `limit` are not counted on. A circle has more than any limit.
-- Adds the effort for those below it.
local function count_tree(job_key, suffixes, limit, effort)
    local stack, count = { job_key }, 1
    while #stack > 0 do
        local key = table.remove(stack)
        if has_children(key) then
            for _, suffix in ipairs(suffixes) do
                count = count + redis.call(COUNT_CHILDREN[suffix], key .. suffix)
                if count > limit then return count end
                for _, child_key in ipairs(READ_CHILDREN[suffix](key .. suffix)) do
                    stack[#stack + 1] = child_key
                    effort.add(child_key)
                end
            end
        end
    end
    return count
end

-- Whether a worker holds the job or one of the children that it still waits for.
local function is_any_locked(job_key)
    local stack = { job_key }
    while #stack > 0 do
        local key = table.remove(stack)
        if redis.call("EXISTS", key .. ":lock") == 1 then return true end
        for _, child_key in ipairs(redis.call("SMEMBERS", key .. ":dependencies")) do stack[#stack + 1] = child_key end
    end
    return false
end

-- Takes a job out of its state and deletes its keys. Says whether there was anything.
local function remove_job(prefix, id, even_gone)
    local job_key = prefix .. id
    local state = leave_state(prefix, id, even_gone)
    local dedup_id = redis.call("HGET", job_key, "deid")
    if dedup_id then forget_deduplication(prefix, id, dedup_id) end
    if delete_job_keys(job_key) == 0 then return state ~= nil end
    redis.call("XADD", prefix .. "events", "MAXLEN", "~", read_meta(prefix .. "meta").max_events, "*", "event",
        "removed", "jobId", id, "prev", state or "unknown")
    return true
end

-- Removes what is below a job: the children under `suffixes`, if `takes` says so, with what is below them.
-- Returns how many jobs.
local function remove_children(prefix, id, suffixes, takes, now)
    local job_key, removed = prefix .. id, 0
    if not has_children(job_key) then return 0 end
    local as_parent = { queueKey = string.sub(prefix, 1, -2), id = id }
    for _, suffix in ipairs(suffixes) do
        for _, child_key in ipairs(READ_CHILDREN[suffix](job_key .. suffix)) do
            local child_prefix, child_id = split_job_key(child_key)
            if child_prefix and takes(child_prefix, child_id) then
                child_removed(child_key, job_key, as_parent, now)
                removed = removed + remove_children(child_prefix, child_id, suffixes, takes, now)
                if remove_job(child_prefix, child_id) then removed = removed + 1 end
            end
        end
    end
    return removed
end
