-- plain/settle.lua: settle.lua for what nearly every call brings: jobs that completed, with no family and everything
-- kept, on a queue without limits and without jobs that are due. Anything else is left to `with_all_parts`, before
-- anything is written; plain/add.lua says why.
--
-- KEYS, ARGV, Reply, Events, Bounds
--   as settle.lua's
local call, prefix, now = redis.call, ARGV[1], ARGV[2]
local wanted, outcomes = cmsgpack.unpack(ARGV[4]), cmsgpack.unpack(ARGV[3])
local count, token, worker = wanted[1], wanted[2], wanted[4]
-- A limit of the worker's, or minutes to be counted.
if wanted[5] or wanted[7] then return with_all_parts() end
local meta = call("HMGET", KEYS[6], "opts.maxLenEvents", "paused", "concurrency", "max")
if meta[2] or meta[3] or meta[4] then return with_all_parts() end
-- A number that a stream can be trimmed to, whoever wrote it.
if not meta[1] or #meta[1] > 15 or not string.find(meta[1], "^[1-9]%d*$") then return with_all_parts() end

-- Nothing is delayed and nothing was found stalled, as far as that is known.
local is_quiet = false
local limiter, next_due = false, 0
local job_keys, locks, ids, fields = {}, {}, {}, {}
if #outcomes > 0 then
    local children = {}
    for index = 1, #outcomes do
        local outcome = outcomes[index]
        -- A plain outcome is a completion and ends with its value.
        if outcome[3] ~= 1 or outcome[5] ~= nil then return with_all_parts() end
        local job_key = prefix .. outcome[1]
        ids[index], job_keys[index], locks[index] = outcome[1], job_key, job_key .. ":lock"
        children[2 * index - 1], children[2 * index] = job_key .. ":dependencies", job_key .. ":unsuccessful"
    end
    locks[#outcomes + 1] = KEYS[10]
    local tokens = call("MGET", unpack(locks))
    limiter = tokens[#outcomes + 1]
    -- One look for all that is seldom there.
    local seldom = #children
    children[seldom + 1], children[seldom + 2] = KEYS[3], KEYS[9]
    is_quiet = call("EXISTS", unpack(children)) == 0
    if not is_quiet and call("EXISTS", unpack(children, 1, seldom)) > 0 then return with_all_parts() end
    local with = ARGV[5] == "0" and "name" or "data"
    for index = 1, #outcomes do
        if tokens[index] ~= outcomes[index][2] then return with_all_parts() end
        local found = call("HMGET", job_keys[index], with, "atm", "parentKey", "deid", "defa")
        if not found[1] or found[3] or found[4] or found[5] then return with_all_parts() end
        fields[index] = found
    end
elseif count > 0 then
    limiter = call("GET", KEYS[10])
end
if limiter then return with_all_parts() end
if count > 0 and not is_quiet then
    local first = call("ZRANGE", KEYS[3], "0", "0", "WITHSCORES")
    next_due = first[2] and first[2] / 4096 or 0
    if first[2] and next_due < now + 1 then return with_all_parts() end
end

local active, events, refused = KEYS[4], KEYS[12], {}
if #outcomes > 0 then
    for index = 1, #ids do
        if call("LREM", active, "-1", ids[index]) == 0 then
            refused[#refused + 1] = index
            refused[#refused + 1] = -3
            fields[index] = false
        end
    end
    call("DEL", unpack(locks, 1, #ids))
    if not is_quiet then call("SREM", KEYS[9], unpack(ids)) end
    local finished, history, has_trimmed = {}, {}, false
    for index = 1, #ids do
        local found = fields[index]
        if found then
            local id, value = ids[index], outcomes[index][4]
            call("HSET", job_keys[index], "atm", found[2] and (tonumber(found[2]) or 0) + 1 or "1", "returnvalue", value,
                "finishedOn", now)
            if has_trimmed then
                call("XADD", events, "*", "event", "completed", "jobId", id, "returnvalue", value, "prev", "active")
            else
                call("XADD", events, "MAXLEN", "~", meta[1], "*", "event", "completed", "jobId", id,
                    "returnvalue", value, "prev", "active")
                has_trimmed = true
            end
            local at = #finished
            finished[at + 1], finished[at + 2] = now, id
            at = 3 * at
            history[at + 1], history[at + 2], history[at + 3] = "record", ARGV[5 + index], "data"
            history[at + 4], history[at + 5], history[at + 6] = found[1], "value", value
        end
    end
    if #finished > 0 then
        call("ZADD", KEYS[7], unpack(finished))
        if ARGV[5] ~= "0" then call("XADD", KEYS[13], "MAXLEN", "~", ARGV[5], "*", unpack(history)) end
    end
end

-- A claim that depends on the outcomes.
if wanted[8] and #refused > 0 then count, next_due = 0, 0 end
local jobs, claimed = {}, {}
if count > 0 then
    -- One job moves with one command.
    local moved = count == 1 and call("RPOPLPUSH", KEYS[1], active)
    local found = moved and { moved } or count > 1 and call("RPOP", KEYS[1], count) or {}
    if #found < count then
        local popped = call("ZPOPMIN", KEYS[2], count - #found)
        for index = 1, #popped, 2 do found[#found + 1] = popped[index] end
    end
    for index = 1, #found do
        local id = found[index]
        local job_key = prefix .. id
        local job = call("HMGET", job_key, "name", "data", "opts", "timestamp", "delay", "priority", "ats", "defa",
            "rjk", "deid", "parentKey", "atm", "stc", "stacktrace", "pb", "operator:restarted")
        -- An id without a hash was removed by someone who did not look here: there is nothing to run.
        if job[1] then
            local started = job[7] and (tonumber(job[7]) or 0) + 1 or "1"
            job[7], job[17] = started, id
            call("SET", job_key .. ":lock", token, "PX", wanted[3])
            call("XADD", events, "*", "event", "active", "jobId", id, "prev", "waiting")
            if worker then
                call("HSET", job_key, "processedOn", now, "ats", started, "pb", worker)
            else
                call("HSET", job_key, "processedOn", now, "ats", started)
            end
            claimed[#claimed + 1], jobs[#jobs + 1] = id, job
        elseif moved then
            call("LREM", active, "1", id)
        end
    end
    if #claimed > 0 and not moved then call("LPUSH", active, unpack(claimed)) end
    if #found == count then
        -- There may be more: the next sleeper finds out.
        call("ZADD", KEYS[5], "0", "0")
    elseif #found == 0 then
        call("DEL", KEYS[11])
    end
end

if #ids > 0 and #refused < 2 * #ids and #jobs == 0 and next_due == 0 and call("LLEN", active) == 0
    and call("LLEN", KEYS[1]) == 0 and call("ZCARD", KEYS[2]) == 0 then
    call("XADD", events, "*", "event", "drained")
end
return { refused, jobs, string.format("%.3f", next_due), 0 }
