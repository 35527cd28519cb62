-- callback.lua: takes what a service brings for a job that waits for it, and lets the job run.
--
-- KEYS
--   1 wait  2 prioritized  3 delayed  4 active  5 marker  6 meta  7 pc  8 events  9 the job
-- ARGV
--   1 job id
--   2 token of the callback
--   3 the answer as JSON
--   4 now, epoch ms
-- Reply
--   0 taken; -1 no such job, or it waits for no such callback; -2 expired; -3 answered already, or the job has finished
-- Events
--   `waiting` with prev `delayed`, when the job was parked
-- Bounds
--   a constant number of commands
local id, job_key = ARGV[1], KEYS[9]
local found = redis.call("HMGET", job_key, "operator:callback", "operator:answer", "finishedOn", "priority", "opts")
local expires, token
if found[1] then expires, token = string.match(found[1], "^%d+ (%d+) (.+)$") end
if token ~= ARGV[2] then return -1 end
if found[3] or (found[2] and found[2] ~= "") then return -3 end
if tonumber(expires) <= tonumber(ARGV[4]) then return -2 end
local meta = read_meta(KEYS[6])
redis.call("HSET", job_key, "operator:answer", ARGV[3])
-- Otherwise its worker has not parked it yet, and looks for the answer when it has.
if redis.call("ZREM", KEYS[3], id) == 1 then
    local keys = {
        wait = KEYS[1], prioritized = KEYS[2], active = KEYS[4], marker = KEYS[5], pc = KEYS[7], events = KEYS[8]
    }
    let_run(keys, meta, id, job_key, tonumber(found[4]) or 0, found[5])
end
return 0
