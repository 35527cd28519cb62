-- include/add.lua: new jobs on their way into a queue.
-- Uses: meta, enqueue, parent, remove, dedup. Bounds: a constant number of commands per job, and a few per queue.

local JOB_MISSING_PARENT, JOB_HAS_PARENT = -5, -7

-- How many events are searched for the jobs of a call that is repeated.
local MAX_RECENT_EVENTS = 5000

-- Positions in a job, as the producer encodes it.
local JOB_ID, NAME, DATA, OPTS, TIMESTAMP, MAY_EXIST, JOB_DELAY, PRIORITY, JOB_LIFO, PARENT_KEY, PARENT, DEDUP =
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12

-- Why one of the jobs must not be added, as its position and a code, or nil. `prefix_of` tells a job's queue. A job may
-- name a parent that stands before it in the list.
local function why_not_add(jobs, prefix_of)
    local exists, parents = {}, {}
    local function is_there(key)
        if exists[key] == nil then exists[key] = redis.call("EXISTS", key) == 1 end
        return exists[key]
    end
    for position, job in ipairs(jobs) do
        local key, parent_key = prefix_of(job) .. job[JOB_ID], job[PARENT_KEY]
        if parent_key then
            if not is_there(parent_key) then return position, JOB_MISSING_PARENT end
            job.parent = cjson.decode(job[PARENT])
            -- The same job may stand twice in the list.
            local current = parents[key] or job[MAY_EXIST] and redis.call("HGET", key, "parentKey")
            if current and current ~= parent_key and is_there(current) then return position, JOB_HAS_PARENT end
            parents[key] = parent_key
        end
        if job[DEDUP] == nil then exists[key] = true end
    end
end

-- The newest ids that were added, as a set: a job that has run and was not kept meanwhile shows in the events only.
local function recently_added(events_key)
    local added = {}
    for _, entry in ipairs(redis.call("XREVRANGE", events_key, "+", "-", "COUNT", MAX_RECENT_EVENTS)) do
        local fields = entry[2]
        if fields[2] == "added" then added[fields[4]] = true end
    end
    return added
end

-- What gathers on the way into one queue, so that a batch costs one command per list and set. `is_repeated` says that
-- an earlier call may have added the jobs.
local function new_intake(prefix, keys, is_repeated)
    return { prefix = prefix, keys = keys, meta = read_meta(keys.meta), back = {}, front = {}, prioritized = {},
        delayed = {}, parents = {}, score_delayed = delayed_scorer(keys.delayed), is_ready = false, is_due = false,
        is_repeated = is_repeated, added = is_repeated and recently_added(keys.events) or {} }
end

-- Puts what has gathered into the lists and sets, where everybody sees it.
local function put_in(intake)
    local keys, prioritized = intake.keys, intake.prioritized
    local scores = {}
    if #prioritized > 0 then
        local arrival = redis.call("INCRBY", keys.pc, #prioritized) - #prioritized
        for index, job in ipairs(prioritized) do
            scores[#scores + 1] = priority_score(job[PRIORITY], arrival + index)
            scores[#scores + 1] = job[JOB_ID]
        end
    end
    push_all("LPUSH", keys.wait, intake.back)
    push_all("RPUSH", keys.wait, intake.front)
    push_all("ZADD", keys.prioritized, scores)
    push_all("ZADD", keys.delayed, intake.delayed)
    push_all("ZADD", keys.waiting_children, intake.parents)
    intake.is_ready = intake.is_ready or #intake.back + #intake.front + #scores > 0
    intake.is_due = intake.is_due or #intake.delayed > 0
    intake.back, intake.front, intake.prioritized, intake.delayed, intake.parents = {}, {}, {}, {}, {}
    intake.score_delayed = delayed_scorer(keys.delayed)
end

-- The end of an intake: the last jobs in, and the sleepers woken.
local function close_intake(intake)
    put_in(intake)
    local keys = intake.keys
    redis.call("XTRIM", keys.events, "MAXLEN", "~", intake.meta.max_events)
    if intake.is_ready and not is_paused_or_maxed(intake.meta, keys.active) then wake_now(keys.marker) end
    if intake.is_due then wake_when_due(keys.marker, keys.delayed) end
end

-- A job that exists already gets the parent that it is added with this time. A result that it has counts at once.
-- What an earlier call attached stays as it is: the child may be past its parent by now.
local function attach_again(intake, job, key)
    local parent_key = job[PARENT_KEY]
    if intake.is_repeated and redis.call("HGET", key, "parentKey") == parent_key then return end
    if redis.call("ZSCORE", intake.prefix .. "completed", job[JOB_ID]) then
        redis.call("HSET", parent_key .. ":processed", key, redis.call("HGET", key, "returnvalue") or "null")
    else
        redis.call("SADD", parent_key .. ":dependencies", key)
    end
    redis.call("HSET", key, "parentKey", parent_key, "parent", job[PARENT])
end

-- Writes the job's hash. Says whether it is new: an id made for this call is there already when the call was repeated
-- before it arrived, and has the same fields.
local function write_job(job, key)
    local dedup_id = job[DEDUP] and job[DEDUP][1]
    local delay, priority, parent_key = job[JOB_DELAY], job[PRIORITY], job[PARENT_KEY]
    if not parent_key and not dedup_id then
        return redis.call("HSET", key, "name", job[NAME], "data", job[DATA], "opts", job[OPTS],
            "timestamp", job[TIMESTAMP], "delay", delay, "priority", priority) == 6
    end
    local fields = { "name", job[NAME], "data", job[DATA], "opts", job[OPTS], "timestamp", job[TIMESTAMP],
        "delay", delay, "priority", priority }
    local function set(name, value)
        fields[#fields + 1] = name
        fields[#fields + 1] = value
    end
    if parent_key then
        set("parentKey", parent_key)
        set("parent", job[PARENT])
    end
    if dedup_id then set("deid", dedup_id) end
    return redis.call("HSET", key, unpack(fields)) * 2 == #fields
end

-- Where a new job goes, with its event.
local function enqueue_job(intake, job, waits_for_children)
    local id, delay, events = job[JOB_ID], job[JOB_DELAY], intake.keys.events
    if waits_for_children then
        intake.parents[#intake.parents + 1] = job[TIMESTAMP]
        intake.parents[#intake.parents + 1] = id
        redis.call("XADD", events, "*", "event", "waiting-children", "jobId", id)
    elseif delay > 0 then
        local due = job[TIMESTAMP] + delay
        intake.delayed[#intake.delayed + 1] = intake.score_delayed(due)
        intake.delayed[#intake.delayed + 1] = id
        redis.call("XADD", events, "*", "event", "delayed", "jobId", id, "delay", due)
    else
        if job[PRIORITY] > 0 then
            intake.prioritized[#intake.prioritized + 1] = job
        elseif job[JOB_LIFO] then
            intake.front[#intake.front + 1] = id
        else
            intake.back[#intake.back + 1] = id
        end
        redis.call("XADD", events, "*", "event", "waiting", "jobId", id)
    end
end

-- Lets go the parents whose children turned out to be done.
local function release_parents(jobs, now)
    for _, job in ipairs(jobs) do
        release_parent_without_children(job[PARENT_KEY], job.parent.queueKey, job.parent.id, now)
    end
end

-- Adds one job, or finds that another stands for it already. Returns the id of that other job, or nil.
local function take_in(intake, job, waits_for_children)
    -- The list of a plain job ends with its timestamp.
    job[JOB_DELAY], job[PRIORITY] = job[JOB_DELAY] or 0, job[PRIORITY] or 0
    local id, parent_key = job[JOB_ID], job[PARENT_KEY]
    local key = intake.prefix .. id
    -- Only an id made for the call tells that the job is the same.
    if not job[MAY_EXIST] and intake.added[id] then return id end
    -- One that stands for others must not become their owner again.
    if (job[MAY_EXIST] or job[DEDUP] or intake.is_repeated) and redis.call("EXISTS", key) == 1 then
        if parent_key then attach_again(intake, job, key) end
        -- In a repeated call it is most likely the job itself.
        if not intake.is_repeated then
            redis.call("XADD", intake.keys.events, "*", "event", "duplicated", "jobId", id)
        end
        return id
    end
    if job[DEDUP] then
        put_in(intake)
        local owner = find_owner(intake.prefix, intake.keys, {
            id = id, name = job[NAME], data = job[DATA], opts = job[OPTS], timestamp = job[TIMESTAMP],
            delay = job[JOB_DELAY]
        }, job[DEDUP])
        if owner then return owner end
    end
    if not write_job(job, key) then return id end
    redis.call("XADD", intake.keys.events, "*", "event", "added", "jobId", id, "name", job[NAME])
    enqueue_job(intake, job, waits_for_children)
    if parent_key then redis.call("SADD", parent_key .. ":dependencies", key) end
end
