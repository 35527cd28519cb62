-- include/remove.lua: the end of a job's keys.
-- Uses: parent. Bounds: two commands per job, and four more for one that has a parent.

-- The keys of a job beside its hash. The lock is among them: a job of the same id added later must not inherit it.
local JOB_KEYS = { "", ":lock", ":logs", ":dependencies", ":processed", ":failed", ":unsuccessful" }

local function delete_job_keys(job_key)
    local keys = {}
    for index, suffix in ipairs(JOB_KEYS) do keys[index] = job_key .. suffix end
    return redis.call("DEL", unpack(keys))
end

-- The queue's key prefix, with the trailing colon, and the id.
local function split_job_key(job_key)
    return string.match(job_key, "^(.*:)([^:]*)$")
end

-- Who a parent is: what the child's `parent` field says, or its key when that is not readable.
local function parent_of(parent_key, text)
    local is_readable, parent = pcall(cjson.decode, text or "")
    if is_readable and type(parent) == "table" and type(parent.queueKey) == "string"
        and (type(parent.id) == "string" or type(parent.id) == "number") then
        return parent
    end
    local prefix, id = split_job_key(parent_key)
    return { queueKey = string.sub(prefix or ":", 1, -2), id = id or parent_key }
end

-- Whether a job is the pending iteration of a scheduler, which only the scheduler itself may end.
local function is_pending_iteration(repeat_key, id)
    local scheduler, slot = string.match(id, "^repeat:(.+):(%d+)$")
    local pending = scheduler and redis.call("ZSCORE", repeat_key, scheduler)
    return pending and string.format("%.0f", tonumber(pending)) == slot
end

-- Removes a finished job that the keep policy no longer covers.
local function remove_expired(job_key, now)
    local parent_key, text = unpack(redis.call("HMGET", job_key, "parentKey", "parent"))
    if parent_key then child_removed(job_key, parent_key, parent_of(parent_key, text), now) end
    delete_job_keys(job_key)
end

local function remove_all_expired(set_key, prefix, ids, now)
    for _, id in ipairs(ids) do
        redis.call("ZREM", set_key, id)
        remove_expired(prefix .. id, now)
    end
end

-- How many jobs a call may remove by keep policies, whichever they are: for their age and for their number.
local function sweep_allowance()
    return { age = 1000, number = 1000 }
end

-- Applies a keep policy to the set of completed or of failed jobs: to those that are too old, the newest of them first
-- as BullMQ does it, then to the oldest of those that are too many.
-- At most `limit` jobs go for their age, and no more than the allowance; the next finished job takes the rest.
local function keep_only(set_key, prefix, count, age_s, limit, now, allowance)
    limit = math.min(limit, allowance.age)
    if age_s >= 0 and limit > 0 then
        local last = now - age_s * 1000
        local expired = redis.call("ZREVRANGEBYSCORE", set_key, last, "-inf", "LIMIT", 0, limit)
        remove_all_expired(set_key, prefix, expired, now)
        allowance.age = allowance.age - #expired
    end
    if count >= 0 and allowance.number > 0 then
        local over = math.min(redis.call("ZCARD", set_key) - count, allowance.number)
        if over > 0 then
            remove_all_expired(set_key, prefix, redis.call("ZRANGE", set_key, 0, over - 1), now)
            allowance.number = allowance.number - over
        end
    end
end
