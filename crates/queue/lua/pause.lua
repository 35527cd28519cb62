-- pause.lua: stops claims on a queue, or lets them go on.
--
-- KEYS
--   1 meta  2 marker  3 wait  4 paused  5 prioritized  6 delayed  7 events
-- ARGV
--   1 `1` to pause, `0` to resume
-- Reply
--   1 when jobs of the older paused list are left and the call must be repeated, else 0
-- Events
--   `paused`, or `resumed` with the last call
-- Bounds
--   at most 5000 ids of the older paused list per call
if ARGV[1] == "1" then
    redis.call("HSET", KEYS[1], "paused", 1)
    redis.call("DEL", KEYS[2])
    redis.call("XADD", KEYS[7], "*", "event", "paused")
    return 0
end

-- BullMQ 5 renames wait to paused; whoever resumes puts those jobs back, first in line as they were.
-- A wait list of its own means jobs came later: they stay behind, to the left.
if redis.call("EXISTS", KEYS[4]) == 1 then
    if redis.call("EXISTS", KEYS[3]) == 0 then
        redis.call("RENAME", KEYS[4], KEYS[3])
    else
        push_all("RPUSH", KEYS[3], redis.call("LPOP", KEYS[4], 5000))
        if redis.call("EXISTS", KEYS[4]) == 1 then return 1 end
    end
end
redis.call("HDEL", KEYS[1], "paused")
if redis.call("LLEN", KEYS[3]) > 0 or redis.call("ZCARD", KEYS[5]) > 0 then
    wake_now(KEYS[2])
else
    wake_when_due(KEYS[2], KEYS[6])
end
redis.call("XADD", KEYS[7], "*", "event", "resumed")
return 0
