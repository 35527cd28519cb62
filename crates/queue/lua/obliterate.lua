-- obliterate.lua: sees whether a queue may be obliterated, and when its jobs are gone, ends it.
--
-- KEYS
--   1 meta  2 active  3 wait  4 paused  5 prioritized  6 delayed  7 completed  8 failed  9 waiting-children  10 repeat
--   11 events  12 delay  13 priority  14 stalled-check  15 stalled  16 id  17 pc  18 marker  19 limiter
--   20 metrics:completed  21 metrics:completed:data  22 metrics:failed  23 metrics:failed:data  24 operator:history
--   25 operator:cancelling
--     those from 11 on are deleted together and not read one by one
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 `1` when active jobs go, too
--   3 `1` to end it, `0` only to see
-- Reply
--   0 ended, 1 there are jobs or schedulers left, -1 not paused, -2 jobs are active
-- Events
--   none
-- Bounds
--   at most 1000 schedulers per call
if redis.call("HEXISTS", KEYS[1], "paused") == 0 then return -1 end
if ARGV[2] ~= "1" and redis.call("LLEN", KEYS[2]) > 0 then return -2 end
if ARGV[3] ~= "1" then return 1 end

local repeat_key = KEYS[10]
local schedulers = redis.call("ZRANGE", repeat_key, 0, 999)
if #schedulers > 0 then
    local scheduler_keys = {}
    for index, scheduler in ipairs(schedulers) do scheduler_keys[index] = repeat_key .. ":" .. scheduler end
    redis.call("DEL", unpack(scheduler_keys))
    redis.call("ZREM", repeat_key, unpack(schedulers))
end
if redis.call("EXISTS", unpack(KEYS, 2, 10)) > 0 then return 1 end
redis.call("UNLINK", KEYS[1], unpack(KEYS, 11))
return 0
