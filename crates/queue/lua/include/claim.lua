-- include/claim.lua: hands waiting jobs to a worker.
-- Uses: enqueue, meta, promote. Bounds: at most the number asked for, which the caller keeps at 1000 or less.

-- What the limiter holds while a queue rests: the largest number that every client reads exactly.
local RESTING = 9007199254740991

-- The most jobs per duration in ms, the queue's own before the worker's; nil unless both are known.
local function rate_of(meta, limits)
    local max, duration = meta.rate_max or limits.max, limits.duration or meta.rate_duration
    if max and duration then return max, duration end
end

-- How many jobs the queue's limits let start now, and for how many milliseconds a used-up rate forbids more.
-- `limiter` is how many have started; a queue that was told to rest says so with a number no rate allows.
local function allowance(keys, meta, limits, limiter, wanted)
    local rate_max = rate_of(meta, limits) or RESTING
    local used = tonumber(limiter) or 0
    if used >= rate_max then
        local ttl = redis.call("PTTL", keys.limiter)
        if ttl > 0 then return 0, ttl end
        -- In its last millisecond a count is still there; what starts now belongs to the next.
        redis.call("DEL", keys.limiter)
        used = 0
    end
    wanted = math.min(wanted, math.max(1, rate_max - used))
    if meta.paused then return 0 end
    if meta.concurrency then
        wanted = math.min(wanted, math.max(0, meta.concurrency - redis.call("LLEN", keys.active)))
    end
    return wanted
end

-- Takes up to `wanted` ids in the order they are served: plain ones, then by priority.
local function take_ids(keys, wanted)
    local ids = redis.call("RPOP", keys.wait, wanted) or {}
    if #ids < wanted then
        local popped = redis.call("ZPOPMIN", keys.prioritized, wanted - #ids)
        for index = 1, #popped, 2 do ids[#ids + 1] = popped[index] end
    end
    return ids
end

-- Claims `ids` for `token` and returns them with the fields a worker needs, in the order of the reply, and how many
-- of them will run: one whose failure is certain does not.
local function start_jobs(prefix, keys, ids, request, now)
    local jobs, active, running = {}, {}, 0
    for _, id in ipairs(ids) do
        local job_key = prefix .. id
        local fields = redis.call("HMGET", job_key, "name", "data", "opts", "timestamp", "delay", "priority", "ats",
            "defa", "rjk", "deid", "parentKey", "atm", "stc", "stacktrace", "pb", "operator:restarted")
        -- An id without a hash was removed by someone who did not look here: there is nothing to run.
        if fields[1] then
            local started = (tonumber(fields[7]) or 0) + 1
            fields[7] = started
            fields[17] = id
            redis.call("SET", job_key .. ":lock", request.token, "PX", request.lock_ms)
            redis.call("XADD", keys.events, "*", "event", "active", "jobId", id, "prev", "waiting")
            if request.worker then
                redis.call("HSET", job_key, "processedOn", now, "ats", started, "pb", request.worker)
            else
                redis.call("HSET", job_key, "processedOn", now, "ats", started)
            end
            active[#active + 1] = id
            jobs[#jobs + 1] = fields
            if not fields[8] then running = running + 1 end
        end
    end
    push_all("LPUSH", keys.active, active)
    return jobs, running
end

local function count_against_rate(keys, meta, limits, started)
    local _, duration = rate_of(meta, limits)
    if not duration or started == 0 then return end
    if redis.call("INCRBY", keys.limiter, started) == started then
        redis.call("PEXPIRE", keys.limiter, duration)
    end
end

-- Claims jobs and says what to wait for when there are fewer than wanted.
-- Returns the jobs, the earliest due time (ms, 0 for none), and how long the rate forbids more (ms, 0 for not).
local function claim(prefix, keys, meta, request, limiter, now)
    local next_due, has_promoted = promote_due(prefix, keys, now)
    local wanted, rate_ttl = allowance(keys, meta, request.limits, limiter, request.count)
    if wanted == 0 then
        -- The limit may be this worker's alone.
        if has_promoted and rate_ttl and not is_paused_or_maxed(meta, keys.active) then wake_now(keys.marker) end
        return {}, next_due or 0, rate_ttl or 0
    end

    local ids = take_ids(keys, wanted)
    local jobs, running = start_jobs(prefix, keys, ids, request, now)
    count_against_rate(keys, meta, request.limits, running)
    if #ids == wanted then
        -- There may be more: the next sleeper finds out.
        wake_now(keys.marker)
    elseif #ids == 0 then
        redis.call("DEL", keys.pc)
    end
    return jobs, next_due or 0, 0
end
