-- include/reprocess.lua: finished jobs that are to run again.
-- Uses: nothing. Bounds: at most five commands per job.

-- The field that holds the outcome of a finished job, by its state.
local OUTCOMES = { completed = "returnvalue", failed = "failedReason" }

-- The parent of a child that runs again counts on it again, if it had counted its outcome.
local function count_on_child(job_key, parent_key, from)
    if not parent_key or redis.call("EXISTS", parent_key) == 0 then return end
    local was_counted
    if from == "completed" then
        was_counted = redis.call("HDEL", parent_key .. ":processed", job_key) == 1
    else
        was_counted = redis.call("ZREM", parent_key .. ":unsuccessful", job_key) == 1
            or redis.call("HDEL", parent_key .. ":failed", job_key) == 1
    end
    if was_counted then redis.call("SADD", parent_key .. ":dependencies", job_key) end
end

-- What is left of a cancellation ends with the run that was cancelled.
local function add_marks(stale, mark)
    if not mark then return end
    stale[#stale + 1] = "operator:cancel"
    stale[#stale + 1] = "defa"
end

-- A job with a time to be started by has it anew. Others are spared the field.
local function note_restart(job_key, opts, now)
    if opts and (string.find(opts, '"ttlMs"', 1, true) or string.find(opts, '"expiresAt"', 1, true)) then
        redis.call("HSET", job_key, "operator:restarted", now)
    end
end
