-- include/dedup.lua: jobs of one deduplication id: which of them is added, and what the end of one means to the others.
-- Uses: enqueue, meta, parent, remove. Bounds: a constant number of commands per job, one of them linear in `active`.

-- Positions in a deduplication, as the producer encodes it.
local DEDUP_ID, DEDUP_TTL, EXTENDS, REPLACES, KEEPS_LAST, RESCHEDULES = 1, 2, 3, 4, 5, 6

-- The job that owns the id, or nil. An owner that is gone, with a key that nothing would end, is none.
local function current_owner(prefix, owner_key, kept_key)
    local owner = redis.call("GET", owner_key)
    if owner and redis.call("EXISTS", prefix .. owner) == 0 and redis.call("PTTL", owner_key) == -1 then
        redis.call("DEL", owner_key, kept_key)
        return nil
    end
    return owner
end

local function own(owner_key, id, ttl)
    if ttl then redis.call("SET", owner_key, id, "PX", ttl) else redis.call("SET", owner_key, id) end
end

-- A delayed owner makes room for the new job. Says whether it did.
local function replace_owner(prefix, keys, owner, job_id, dedup, owner_key, kept_key)
    if redis.call("ZREM", keys.delayed, owner) == 0 then return false end
    delete_job_keys(prefix .. owner)
    redis.call("XADD", keys.events, "*", "event", "removed", "jobId", owner, "prev", "delayed")
    redis.call("XADD", keys.events, "*", "event", "deduplicated", "jobId", job_id, "deduplicationId", dedup[DEDUP_ID],
        "deduplicatedJobId", owner)
    redis.call("DEL", kept_key)
    if dedup[KEEPS_LAST] or not dedup[DEDUP_TTL] then
        own(owner_key, job_id)
    elseif dedup[EXTENDS] then
        own(owner_key, job_id, dedup[DEDUP_TTL])
    else
        redis.call("SET", owner_key, job_id, "KEEPTTL")
    end
    return true
end

-- Keeps the job to be added when the one that runs has finished; the last one kept wins.
local function keep_for_later(kept_key, owner_key, job)
    redis.call("DEL", kept_key)
    redis.call("HSET", kept_key, "jid", job.id, "name", job.name, "data", job.data, "opts", job.opts)
    redis.call("PERSIST", owner_key)
end

-- A delayed owner takes the new job's delay, behind itself when that is due in the same millisecond.
local function reschedule_owner(prefix, keys, owner, job)
    if not redis.call("ZSCORE", keys.delayed, owner) then return end
    local due = job.timestamp + job.delay
    redis.call("ZADD", keys.delayed, delayed_scorer(keys.delayed)(due), owner)
    redis.call("HSET", prefix .. owner, "delay", job.delay)
    redis.call("XADD", keys.events, "*", "event", "delayed", "jobId", owner, "delay", due)
    wake_when_due(keys.marker, keys.delayed)
end

-- The job that stands for `job` already, or nil: then `job` is to be added and owns the id.
local function find_owner(prefix, keys, job, dedup)
    local owner_key, kept_key = prefix .. "de:" .. dedup[DEDUP_ID], prefix .. "dn:" .. dedup[DEDUP_ID]
    local owner = current_owner(prefix, owner_key, kept_key)
    if not owner then
        own(owner_key, job.id, not dedup[KEEPS_LAST] and dedup[DEDUP_TTL])
        return nil
    end
    if dedup[REPLACES] and replace_owner(prefix, keys, owner, job.id, dedup, owner_key, kept_key) then return nil end

    if dedup[KEEPS_LAST] and redis.call("LPOS", keys.active, owner) then
        keep_for_later(kept_key, owner_key, job)
    elseif dedup[REPLACES] then
        return owner
    elseif dedup[EXTENDS] and dedup[DEDUP_TTL] then
        own(owner_key, owner, dedup[DEDUP_TTL])
    end
    redis.call("XADD", keys.events, "*", "event", "deduplicated", "jobId", owner, "deduplicationId", dedup[DEDUP_ID],
        "deduplicatedJobId", job.id)
    if dedup[RESCHEDULES] and not dedup[REPLACES] then reschedule_owner(prefix, keys, owner, job) end
    return owner
end

-- Adds the job that was asked for while its predecessor ran (`keepLastIfActive`), as the id's new owner.
local function add_kept_job(prefix, dedup_id, kept_key, now)
    local kept = redis.call("HMGET", kept_key, "name", "data", "opts", "jid", "pk", "pd", "pdk", "rjk")
    redis.call("DEL", kept_key)
    local count = redis.call("INCR", prefix .. "id")
    local id = kept[4]
    if not id or id == "" then id = tostring(count) end
    local is_readable, opts = pcall(cjson.decode, kept[3] or "{}")
    if not is_readable or type(opts) ~= "table" then opts = {} end
    local delay, priority = tonumber(opts.delay) or 0, tonumber(opts.priority) or 0
    local key, events = prefix .. id, prefix .. "events"
    redis.call("SET", prefix .. "de:" .. dedup_id, id)
    redis.call("HSET", key, "name", kept[1] or "", "data", kept[2] or "{}", "opts", kept[3] or "{}",
        "timestamp", now, "delay", delay, "priority", priority, "deid", dedup_id)
    if kept[5] and kept[5] ~= "" then redis.call("HSET", key, "parentKey", kept[5], "parent", kept[6] or "{}") end
    if kept[7] and kept[7] ~= "" then redis.call("SADD", kept[7], key) end
    if kept[8] and kept[8] ~= "" then redis.call("HSET", key, "rjk", kept[8]) end
    redis.call("XADD", events, "*", "event", "added", "jobId", id, "name", kept[1] or "")
    if delay > 0 then
        local due = now + delay
        redis.call("ZADD", prefix .. "delayed", delayed_scorer(prefix .. "delayed")(due), id)
        redis.call("XADD", events, "*", "event", "delayed", "jobId", id, "delay", due)
        wake_when_due(prefix .. "marker", prefix .. "delayed")
        return
    end
    if priority > 0 then
        local arrival = redis.call("INCR", prefix .. "pc")
        redis.call("ZADD", prefix .. "prioritized", priority_score(priority, arrival), id)
    else
        redis.call(opts.lifo and "RPUSH" or "LPUSH", prefix .. "wait", id)
    end
    redis.call("XADD", events, "*", "event", "waiting", "jobId", id)
    if not is_paused_or_maxed(read_meta(prefix .. "meta"), prefix .. "active") then wake_now(prefix .. "marker") end
end

-- A key with a time to live outlives its job on purpose (throttling); one without ends with its owner.
local function release_deduplication(prefix, id, dedup_id, now)
    local owner_key, kept_key = prefix .. "de:" .. dedup_id, prefix .. "dn:" .. dedup_id
    local ttl = redis.call("PTTL", owner_key)
    if ttl == 0 or (ttl == -1 and redis.call("GET", owner_key) == id) then redis.call("DEL", owner_key) end
    if redis.call("EXISTS", kept_key) == 1 then add_kept_job(prefix, dedup_id, kept_key, now) end
end

-- A job that is removed, not finished, takes what was kept behind it along.
local function forget_deduplication(prefix, id, dedup_id)
    local owner_key = prefix .. "de:" .. dedup_id
    if redis.call("GET", owner_key) == id then redis.call("DEL", owner_key, prefix .. "dn:" .. dedup_id) end
end
