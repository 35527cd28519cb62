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
