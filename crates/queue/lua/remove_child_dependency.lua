-- remove_child_dependency.lua: ends what a job is to its parent.
--
-- KEYS
--   1 the job
-- ARGV
--   1 the caller's clock, epoch ms
-- Reply
--   0 done, 1 the parent does not wait for it, -1 no such job, -5 no such parent
-- Events
--   `waiting` when the parent was waiting for this job only
-- Bounds
--   a constant number of commands
local fields = redis.call("HMGET", KEYS[1], "name", "parentKey", "parent")
if not fields[1] then return -1 end
local parent_key = fields[2]
if not parent_key or redis.call("EXISTS", parent_key) == 0 then return -5 end
if redis.call("SISMEMBER", parent_key .. ":dependencies", KEYS[1]) == 0 then return 1 end
child_removed(KEYS[1], parent_key, parent_of(parent_key, fields[3]), tonumber(ARGV[1]))
redis.call("HDEL", KEYS[1], "parentKey", "parent")
return 0
