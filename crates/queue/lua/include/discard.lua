-- include/discard.lua: jobs that are thrown away by the batch, with the parents that waited for them only.
-- Uses: enqueue, meta, line, parent, remove, dedup. Bounds: at most ten commands per job, and as many per parent above it.

-- A parent of another queue goes back in line there, without an event and without its delay, as the wire has it.
local function release_quietly(queue, id)
    local line = new_line(queue .. ":wait", queue .. ":prioritized", queue .. ":pc")
    line.add(id, tonumber(redis.call("HGET", queue .. ":" .. id, "priority")) or 0, true)
    line.flush()
    if not is_paused_or_maxed(read_meta(queue .. ":meta"), queue .. ":active") then wake_now(queue .. ":marker") end
end

-- A parent that waited for this child only: one of the same queue is discarded like the child, and so on upwards.
local function discard_parents(prefix, child_key, parent_key, text)
    while parent_key and redis.call("EXISTS", parent_key) == 1 do
        local dependencies = parent_key .. ":dependencies"
        if redis.call("SREM", dependencies, child_key) == 0 or redis.call("SCARD", dependencies) > 0 then return end
        local parent = parent_of(parent_key, text)
        if redis.call("ZREM", parent.queueKey .. ":waiting-children", parent.id) == 0 then return end
        if parent.queueKey .. ":" ~= prefix then return release_quietly(parent.queueKey, parent.id) end
        child_key = parent_key
        parent_key, text = unpack(redis.call("HMGET", child_key, "parentKey", "parent"))
        delete_job_keys(child_key)
    end
end

-- Ends jobs that the caller takes out of their state.
local function discard(prefix, ids)
    local keys = {}
    for _, id in ipairs(ids) do
        local job_key = prefix .. id
        local fields = redis.call("HMGET", job_key, "parentKey", "parent", "deid")
        discard_parents(prefix, job_key, fields[1], fields[2])
        if fields[3] then forget_deduplication(prefix, id, fields[3]) end
        for _, suffix in ipairs(JOB_KEYS) do keys[#keys + 1] = job_key .. suffix end
    end
    for first = 1, #keys, 4900 do redis.call("DEL", unpack(keys, first, math.min(first + 4899, #keys))) end
end
