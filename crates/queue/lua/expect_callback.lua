-- expect_callback.lua: notes what a running job will wait for, unless this attempt has done so already.
--
-- KEYS
--   1 the job  2 its lock
-- ARGV
--   1 token of the claim
--   2 number of the attempt
--   3 when the callback expires, epoch ms
--   4 token of the callback
-- Reply
--   what the job waits with: "<attempt> <expires> <token>", and the answer as JSON or an empty text; or -1 no such job,
--   -2 not locked, -6 locked by another claim
-- Events
--   none
-- Bounds
--   a constant number of commands
local found = redis.call("HMGET", KEYS[1], "name", "operator:callback", "operator:answer")
if not found[1] then return -1 end
local lock = redis.call("GET", KEYS[2])
if not lock then return -2 end
if lock ~= ARGV[1] then return -6 end
if found[2] and string.match(found[2], "^%d+") == ARGV[2] then return { found[2], found[3] or "" } end
local waits = ARGV[2] .. " " .. ARGV[3] .. " " .. ARGV[4]
redis.call("HSET", KEYS[1], "operator:callback", waits, "operator:answer", "")
return { waits, "" }
