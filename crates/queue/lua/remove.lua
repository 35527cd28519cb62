-- remove.lua: removes a job that no worker holds, with its children if wanted.
--
-- KEYS
--   1 repeat
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 job id
--   3 the caller's clock, epoch ms
--   4 `1` when the children go with it
--   5 how many jobs may go at once
--   6 how many entries of lists may be looked at for the children
-- Reply
--   1 removed, 0 it or a child is locked by a worker, -1 no such job, -8 the pending iteration of a scheduler,
--   -100 more jobs than may go at once, or too many jobs in line with them; unless it is 1, nothing was removed
-- Events
--   `removed` per job, in its queue; `waiting` when a parent was waiting for this job only
-- Bounds
--   the given number of jobs, a constant number of commands for each, the given number of list entries, and a look
--   through the list of the job's own state
local prefix, id, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local job_key, limit = prefix .. id, tonumber(ARGV[5])
local with_children = ARGV[4] == "1" and has_children(job_key)
if is_pending_iteration(KEYS[1], id) and redis.call("HEXISTS", job_key, "rjk") == 1 then return -8 end
if with_children then
    local effort = new_effort(tonumber(ARGV[6]))
    if count_tree(job_key, CHILD_KEYS, limit, effort) > limit or effort.is_too_much() then return -100 end
    if is_any_locked(job_key) then return 0 end
elseif redis.call("EXISTS", job_key .. ":lock") == 1 then
    return 0
end

local parent_key, text = unpack(redis.call("HMGET", job_key, "parentKey", "parent"))
if parent_key and redis.call("EXISTS", parent_key) == 1 then
    child_removed(job_key, parent_key, parent_of(parent_key, text), now)
end
if with_children then remove_children(prefix, id, CHILD_KEYS, function() return true end, now) end
return remove_job(prefix, id, true) and 1 or -1
