-- include/dedup.lua: what the end of a job means to its deduplication id.
-- Uses: enqueue, meta. Bounds: a constant number of commands per job.

-- Adds the job that was asked for while its predecessor ran (`keepLastIfActive`), as the id's new owner.
local function add_kept_job(prefix, dedup_id, kept_key, now)
    local kept = redis.call("HMGET", kept_key, "name", "data", "opts", "jid", "pk", "pd", "pdk", "rjk")
    redis.call("DEL", kept_key)
    local count = redis.call("INCR", prefix .. "id")
    local id = kept[4]
    if not id or id == "" then id = tostring(count) end
    local opts = cjson.decode(kept[3] or "{}")
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
