-- remove.lua: removes a job that no worker holds.
--
-- KEYS
--   1 repeat  2 events
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 job id
--   3 the caller's clock, epoch ms
-- Reply
--   1 removed, 0 locked by a worker, -1 no such job, -8 the pending iteration of a scheduler
-- Events
--   `removed`; `waiting` when a parent was waiting for this job only
-- Bounds
--   a constant number of commands; a look through the list of its state
local prefix, id, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local job_key = prefix .. id
local fields = redis.call("HMGET", job_key, "name", "rjk", "deid", "parentKey", "parent")
if not fields[1] then return -1 end
if fields[2] then
    local slot = redis.call("ZSCORE", KEYS[1], fields[2])
    if slot and id == "repeat:" .. fields[2] .. ":" .. string.format("%.0f", tonumber(slot)) then return -8 end
end
if redis.call("EXISTS", job_key .. ":lock") == 1 then return 0 end
if fields[4] and fields[5] then child_removed(job_key, fields[4], cjson.decode(fields[5]), now) end
local state = leave_state(prefix, id)
if fields[3] then forget_deduplication(prefix, id, fields[3]) end
delete_job_keys(job_key)
redis.call("XADD", KEYS[2], "*", "event", "removed", "jobId", id, "prev", state or "unknown")
return 1
