-- change_priority.lua: gives a job another priority, and the place in line that goes with it if it waits.
--
-- KEYS
--   1 wait  2 prioritized  3 active  4 marker  5 meta  6 pc  7 the job
-- ARGV
--   1 job id
--   2 priority, 0 for none
--   3 `1` when it goes before those of the same priority
-- Reply
--   0 done, -1 no such job
-- Events
--   none
-- Bounds
--   a constant number of commands, one of them linear in wait
local id, priority, lifo = ARGV[1], tonumber(ARGV[2]), ARGV[3] == "1"
if redis.call("EXISTS", KEYS[7]) == 0 then return -1 end
local meta = read_meta(KEYS[5])
if redis.call("ZREM", KEYS[2], id) == 1 or redis.call("LREM", KEYS[1], -1, id) > 0 then
    if priority > 0 and lifo then
        redis.call("ZADD", KEYS[2], priority * PRIORITY_BAND, id)
    else
        local line = new_line(KEYS[1], KEYS[2], KEYS[6])
        line.add(id, priority, lifo)
        line.flush()
        if not is_paused_or_maxed(meta, KEYS[3]) then wake_now(KEYS[4]) end
    end
end
redis.call("HSET", KEYS[7], "priority", ARGV[2])
return 0
