-- include/scheduler.lua: the slots of schedulers, and the jobs that fill them.
-- Uses: meta, enqueue. Bounds: a constant number of commands; `free_slot` looks at up to 33 jobs.

-- How many taken slots in a row a scheduler passes over.
local MAX_TAKEN_SLOTS = 32

local function iteration_id(scheduler, slot)
    return "repeat:" .. scheduler .. ":" .. string.format("%.0f", slot)
end

-- The first slot after now on the grid of `every`, which `offset` shifts.
local function grid_slot(now, every, offset)
    local slot = math.floor(now / every) * every + offset
    return slot > now and slot or slot + every
end

-- The first slot of a scheduler that repeats every so many milliseconds.
local function first_slot(now, every, offset, start)
    if start then return math.max(start, now) end
    return offset > 0 and grid_slot(now, every, offset) or now
end

-- The slot after `previous`; those that have passed are skipped.
local function following_slot(previous, now, every, offset)
    local slot = previous + every
    return slot >= now and slot or grid_slot(now, every, offset)
end

-- This slot, or the next one of which there is no job yet; nil when too many are taken. `is_free` tells.
local function free_slot(slot, every, is_free)
    for taken = 0, MAX_TAKEN_SLOTS do
        if is_free(slot + taken * every) then return slot + taken * every end
    end
end

-- The options of a slot's job, as the table that they are and as JSON, encoded before anything is written.
local function iteration_opts(opts, scheduler, slot, now)
    opts.jobId = iteration_id(scheduler, slot)
    opts.delay = math.max(0, slot - now)
    return opts, cjson.encode(opts)
end

-- Adds the job of a slot: `iteration` is {scheduler, slot, name, data, opts, json, now}.
local function add_iteration(prefix, keys, meta, iteration)
    local opts, now, slot = iteration.opts, iteration.now, iteration.slot
    local id, delay, priority = opts.jobId, opts.delay, tonumber(opts.priority) or 0
    local fields = { "name", iteration.name, "data", iteration.data, "opts", iteration.json, "timestamp", now,
        "delay", delay, "priority", priority, "rjk", iteration.scheduler }
    if type(opts.de) == "table" and opts.de.id then
        fields[#fields + 1] = "deid"
        fields[#fields + 1] = opts.de.id
    end
    redis.call("INCR", keys.id)
    redis.call("HSET", prefix .. id, unpack(fields))
    redis.call("XADD", keys.events, "*", "event", "added", "jobId", id, "name", iteration.name)
    if delay > 0 then
        redis.call("ZADD", keys.delayed, delayed_scorer(keys.delayed)(slot), id)
        redis.call("XADD", keys.events, "MAXLEN", "~", meta.max_events, "*", "event", "delayed", "jobId", id,
            "delay", string.format("%.0f", slot))
        return wake_when_due(keys.marker, keys.delayed)
    end
    if priority > 0 then
        redis.call("ZADD", keys.prioritized, priority_score(priority, redis.call("INCR", keys.pc)), id)
    else
        redis.call(opts.lifo and "RPUSH" or "LPUSH", keys.wait, id)
    end
    redis.call("XADD", keys.events, "MAXLEN", "~", meta.max_events, "*", "event", "waiting", "jobId", id)
    if not is_paused_or_maxed(meta, keys.active) then wake_now(keys.marker) end
end
