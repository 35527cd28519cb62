-- finished.lua: whether a job has finished, and how, for those who wait for it.
--
-- KEYS
--   1 completed  2 failed  3 events  4 the job
-- ARGV
--   1 job id
-- Reply
--   1 1 completed, 2 failed, 0 neither, -1 no such job
--   2 the result as JSON, or the reason as text, or an empty text
--   3 id of the newest event, or 0-0: whatever that one and older ones say of the job is known here already
-- Events
--   none
-- Bounds
--   a constant number of commands
local code, value = 0, ""
if redis.call("EXISTS", KEYS[4]) == 0 then
    code = -1
elseif redis.call("ZSCORE", KEYS[1], ARGV[1]) then
    code, value = 1, redis.call("HGET", KEYS[4], "returnvalue")
elseif redis.call("ZSCORE", KEYS[2], ARGV[1]) then
    code, value = 2, redis.call("HGET", KEYS[4], "failedReason")
end
local newest = redis.call("XREVRANGE", KEYS[3], "+", "-", "COUNT", 1)[1]
return { code, value or "", newest and newest[1] or "0-0" }
