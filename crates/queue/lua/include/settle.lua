-- include/settle.lua: the outcomes of jobs that ran, a whole batch at a time.
-- Uses: enqueue, meta, parent, remove, dedup, metrics, promote, cancel. Bounds: a constant number of commands per job and per
-- batch, and the keep policies' own limits.

local JOB_MISSING, LOCK_MISSING, NOT_ACTIVE, PENDING_CHILDREN = -1, -2, -3, -4
local LOCK_MISMATCH, FAILED_CHILDREN, NOTHING_PENDING = -6, -9, 1
-- Ours: the job is to be cancelled, whatever became of it.
local TO_BE_CANCELLED = -12

-- Positions in an outcome, as the worker encodes it.
local ID, TOKEN, KIND, VALUE, STACK, DELAY, LIFO, KEEP_COUNT, KEEP_AGE, KEEP_LIMIT, ATTEMPTS =
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
local COMPLETED, FAILED, RETRIED, DELAYED, RETURNED, POSTPONED, PARKED, CANCELLED = 1, 2, 3, 4, 5, 6, 7, 8

local function any_has_children(prefix, outcomes)
    local keys = {}
    for _, outcome in ipairs(outcomes) do
        if outcome[KIND] == COMPLETED then
            keys[#keys + 1] = prefix .. outcome[ID] .. ":dependencies"
            keys[#keys + 1] = prefix .. outcome[ID] .. ":unsuccessful"
        end
    end
    return #keys > 0 and redis.call("EXISTS", unpack(keys)) > 0
end

local function why_not_complete(job_key)
    if redis.call("SCARD", job_key .. ":dependencies") > 0 then return PENDING_CHILDREN end
    if redis.call("ZCARD", job_key .. ":unsuccessful") > 0 then return FAILED_CHILDREN end
end

-- Why a job cannot wait for its children, or for the one that VALUE names.
local function why_not_park(job_key, child_key)
    if redis.call("ZCARD", job_key .. ":unsuccessful") > 0 then return FAILED_CHILDREN end
    local dependencies = job_key .. ":dependencies"
    local is_pending
    if child_key == "" then
        is_pending = redis.call("SCARD", dependencies) > 0
    else
        is_pending = redis.call("SISMEMBER", dependencies, child_key) == 1
    end
    if not is_pending then return NOTHING_PENDING end
end

-- Why an outcome may not be written, or nil. A call settles a job once: `settled` has the ids of those before.
local function why_not_settle(job_key, outcome, fields, lock, with_children, settled)
    if not fields[1] then return JOB_MISSING end
    if settled[outcome[ID]] then return NOT_ACTIVE end
    local code
    if outcome[KIND] == COMPLETED and with_children then code = why_not_complete(job_key) end
    if outcome[KIND] == PARKED then code = why_not_park(job_key, outcome[VALUE]) end
    if code then return code end
    if lock ~= outcome[TOKEN] then return lock and LOCK_MISMATCH or LOCK_MISSING end
    if is_to_be_cancelled(fields[7], fields[9]) and outcome[KIND] ~= CANCELLED then return TO_BE_CANCELLED end
end

-- Reads what the outcomes need and sorts out those that their worker has no right to settle. Everything that can fail
-- is read before anything is written: an error in the middle of a script undoes nothing.
-- Returns the accepted as {outcome, fields, position}, a flat list of position and code for the others, and the
-- limiter's value, which is read along with the locks.
local function check_ownership(prefix, keys, outcomes, with_data)
    local lock_keys, owned, refused, settled = {}, {}, {}, {}
    for index, outcome in ipairs(outcomes) do lock_keys[index] = prefix .. outcome[ID] .. ":lock" end
    lock_keys[#lock_keys + 1] = keys.limiter
    local locks = redis.call("MGET", unpack(lock_keys))
    local with_children = any_has_children(prefix, outcomes)
    local function refuse(index, code)
        refused[#refused + 1] = index
        refused[#refused + 1] = code
    end
    for index, outcome in ipairs(outcomes) do
        local job_key = prefix .. outcome[ID]
        local fields = redis.call("HMGET", job_key, "name", "atm", "priority", "parentKey", "parent", "deid", "defa",
            with_data and "data" or "name", "operator:cancel")
        local code = why_not_settle(job_key, outcome, fields, locks[index], with_children, settled)
        if code then
            refuse(index, code)
        else
            fields[5] = fields[4] and parent_of(fields[4], fields[5])
            owned[#owned + 1] = { outcome, fields, index }
            settled[outcome[ID]] = true
        end
    end

    local accepted, released, ids = {}, {}, {}
    for _, pair in ipairs(owned) do
        local id = pair[1][ID]
        released[#released + 1] = lock_keys[pair[3]]
        ids[#ids + 1] = id
        if redis.call("LREM", keys.active, -1, id) == 0 and pair[1][KIND] ~= RETURNED then
            refuse(pair[3], NOT_ACTIVE)
        else
            accepted[#accepted + 1] = pair
        end
    end
    if #released > 0 then
        redis.call("DEL", unpack(released))
        redis.call("SREM", keys.stalled, unpack(ids))
    end
    return accepted, refused, locks[#lock_keys]
end

-- Finished jobs of one kind with one keep policy, gathered so that a batch costs one ZADD and one sweep.
local function new_finished(prefix, set_key, now, allowance)
    local scores, policy = {}, nil
    local finished = {}
    function finished.flush()
        if #scores == 0 then return end
        redis.call("ZADD", set_key, unpack(scores))
        local count, age, limit = unpack(policy)
        if count >= 0 or age >= 0 then keep_only(set_key, prefix, count, age, limit, now, allowance) end
        scores = {}
    end
    function finished.add(outcome)
        local count, age, limit = outcome[KEEP_COUNT] or -1, outcome[KEEP_AGE] or -1, outcome[KEEP_LIMIT]
        if policy and (policy[1] ~= count or policy[2] ~= age or policy[3] ~= limit) then finished.flush() end
        policy = { count, age, limit }
        scores[#scores + 1] = now
        scores[#scores + 1] = outcome[ID]
    end
    return finished
end

-- Writes events; the first of a call trims the stream on the way, which spares a command of its own.
local function event_writer(events_key, max_events)
    local has_trimmed = false
    return function(...)
        if has_trimmed then return redis.call("XADD", events_key, "*", ...) end
        has_trimmed = true
        redis.call("XADD", events_key, "MAXLEN", "~", max_events, "*", ...)
    end
end

-- What a finished job leaves: its result, or why it failed; a cancelled one says what its mark says.
local function value_of(outcome, fields)
    return outcome[KIND] == CANCELLED and fields[9] or outcome[VALUE]
end

local function finish(prefix, outcome, fields, finished, add_event, now)
    local id, value = outcome[ID], value_of(outcome, fields)
    local job_key, attempts_made = prefix .. id, (tonumber(fields[2]) or 0) + 1
    local parent_key, has_completed = fields[4], outcome[KIND] == COMPLETED
    if parent_key then
        local settle_parent = has_completed and child_completed or child_failed
        settle_parent(job_key, parent_key, fields[5], value, now)
    end
    if outcome[KEEP_COUNT] == 0 then
        if parent_key then child_removed(job_key, parent_key, fields[5], now) end
        delete_job_keys(job_key)
    elseif has_completed then
        redis.call("HSET", job_key, "atm", attempts_made, "returnvalue", value, "finishedOn", now)
        finished.completed.add(outcome)
    else
        redis.call("HSET", job_key, "atm", attempts_made, "failedReason", value, "stacktrace", outcome[STACK],
            "finishedOn", now)
        if fields[7] then redis.call("HDEL", job_key, "defa") end
        finished.failed.add(outcome)
    end
    if has_completed then
        add_event("event", "completed", "jobId", id, "returnvalue", value, "prev", "active")
        return
    end
    add_event("event", "failed", "jobId", id, "failedReason", value, "prev", "active")
    if outcome[KIND] == FAILED and attempts_made >= outcome[ATTEMPTS] then
        add_event("event", "retries-exhausted", "jobId", id, "attemptsMade", attempts_made)
    end
end

local function retry_later(prefix, keys, outcome, fields, add_event, now)
    local id, delay = outcome[ID], outcome[DELAY]
    local due = now + delay
    redis.call("HSET", prefix .. id, "atm", (tonumber(fields[2]) or 0) + 1, "failedReason", outcome[VALUE],
        "stacktrace", outcome[STACK], "delay", delay)
    redis.call("ZADD", keys.delayed, delayed_scorer(keys.delayed)(due), id)
    add_event("event", "delayed", "jobId", id, "delay", due)
end

local function retry_now(prefix, keys, outcome, fields, add_event)
    local id, priority = outcome[ID], tonumber(fields[3]) or 0
    redis.call("HSET", prefix .. id, "atm", (tonumber(fields[2]) or 0) + 1, "failedReason", outcome[VALUE],
        "stacktrace", outcome[STACK])
    if priority == 0 then
        redis.call(outcome[LIFO] and "RPUSH" or "LPUSH", keys.wait, id)
    else
        redis.call("ZADD", keys.prioritized, priority_score(priority, redis.call("INCR", keys.pc)), id)
    end
    add_event("event", "waiting", "jobId", id, "prev", "active")
end

-- A job that asked to go on later; the attempt is not counted.
local function postpone(prefix, keys, outcome, add_event, now)
    local id, delay = outcome[ID], outcome[DELAY]
    local due = now + delay
    redis.call("HSET", prefix .. id, "delay", delay)
    redis.call("ZADD", keys.delayed, delayed_scorer(keys.delayed)(due), id)
    add_event("event", "delayed", "jobId", id, "delay", due)
end

local function park(prefix, outcome, add_event, now)
    redis.call("ZADD", prefix .. "waiting-children", now, outcome[ID])
    add_event("event", "waiting-children", "jobId", outcome[ID], "prev", "active")
end

-- A job that was not run to its end goes to the front, with its attempt given back.
local function hand_back(_, keys, outcome, fields, add_event)
    local id, priority = outcome[ID], tonumber(fields[3]) or 0
    if priority == 0 then
        redis.call("RPUSH", keys.wait, id)
    else
        redis.call("ZADD", keys.prioritized, priority * PRIORITY_BAND, id)
    end
    add_event("event", "waiting", "jobId", id, "prev", "active")
end

local function has_kind(accepted, kind)
    for _, pair in ipairs(accepted) do
        if pair[1][KIND] == kind then return true end
    end
    return false
end

-- Settles the outcomes and returns the refused, whether a job finished, and the limiter's value. The record of an outcome
-- is the argument that many places after `records_at`; finished jobs are counted for `max_minutes`, if that is given.
local function settle(prefix, keys, outcomes, meta, now, history_max, records_at, max_minutes)
    local accepted, refused, limiter = check_ownership(prefix, keys, outcomes, history_max > 0)
    local allowance = sweep_allowance()
    local finished = { completed = new_finished(prefix, keys.completed, now, allowance),
        failed = new_finished(prefix, keys.failed, now, allowance) }
    local add_event = event_writer(keys.events, meta.max_events)
    local history, has_finished, has_waiting, has_delayed = {}, false, false, false
    local counted = { [COMPLETED] = 0, [FAILED] = 0 }
    -- What was due before a job is tried again goes before it.
    if has_kind(accepted, RETRIED) then promote_due(prefix, keys, now) end
    for _, pair in ipairs(accepted) do
        local outcome, fields = pair[1], pair[2]
        local kind = outcome[KIND]
        if kind == COMPLETED or kind == FAILED or kind == CANCELLED then
            has_finished = true
            local counter = kind == COMPLETED and COMPLETED or FAILED
            counted[counter] = counted[counter] + 1
            if fields[6] then release_deduplication(prefix, outcome[ID], fields[6], now) end
            finish(prefix, outcome, fields, finished, add_event, now)
            if history_max > 0 then
                local at = #history
                history[at + 1], history[at + 2] = "record", ARGV[records_at + pair[3]]
                history[at + 3], history[at + 4] = "data", fields[8] or "{}"
                history[at + 5], history[at + 6] = "value", value_of(outcome, fields)
            end
        elseif kind == DELAYED then
            has_delayed = true
            retry_later(prefix, keys, outcome, fields, add_event, now)
        elseif kind == POSTPONED then
            has_delayed = true
            postpone(prefix, keys, outcome, add_event, now)
        elseif kind == PARKED then
            park(prefix, outcome, add_event, now)
        else
            has_waiting = true
            local put_back = kind == RETRIED and retry_now or hand_back
            put_back(prefix, keys, outcome, fields, add_event)
        end
    end
    finished.completed.flush()
    finished.failed.flush()
    if max_minutes then
        count_minutes(prefix, "completed", counted[COMPLETED], max_minutes, now)
        count_minutes(prefix, "failed", counted[FAILED], max_minutes, now)
    end
    if #history > 0 then redis.call("XADD", keys.history, "MAXLEN", "~", history_max, "*", unpack(history)) end
    if has_waiting and not is_paused_or_maxed(meta, keys.active) then wake_now(keys.marker) end
    return refused, has_finished, has_delayed, limiter
end
