-- remove_scheduler.lua: ends a scheduler. Its pending job goes with it while it is delayed; one that may run already,
-- runs.
--
-- KEYS
--   1 repeat  2 delayed  3 events  4 the scheduler
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 scheduler id
-- Reply
--   1 removed, 0 there was none
-- Events
--   `removed` for the delayed job
-- Bounds
--   a constant number of commands
local prefix, scheduler = ARGV[1], ARGV[2]
local slot = redis.call("ZSCORE", KEYS[1], scheduler)
if not slot then return 0 end
local id = iteration_id(scheduler, tonumber(slot))
if redis.call("ZREM", KEYS[2], id) == 1 then
    delete_job_keys(prefix .. id)
    redis.call("XADD", KEYS[3], "*", "event", "removed", "jobId", id, "prev", "delayed")
end
redis.call("ZREM", KEYS[1], scheduler)
redis.call("DEL", KEYS[4])
return 1
