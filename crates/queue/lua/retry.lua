-- retry.lua: puts a finished job back in line.
--
-- KEYS
--   1 wait  2 prioritized  3 completed  4 failed  5 active  6 marker  7 meta  8 pc  9 events
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 job id
--   3 `1` when it goes first in line even if its options do not say so
--   4 `1` when the attempts it made count from zero again
--   5 `1` when the attempts it started count from zero again
--   6 `completed` or `failed` when it must be that; nothing when either will do
--   7 `1` when the workers it lost count from zero again
--   8 the caller's clock, epoch ms
-- Reply
--   1 done, -1 no such job, -3 not finished, or otherwise
-- Events
--   `waiting` with prev `completed` or `failed`
-- Bounds
--   a constant number of commands
local id, job_key = ARGV[2], ARGV[1] .. ARGV[2]
local fields = redis.call("HMGET", job_key, "priority", "parentKey", "opts", "name", "operator:cancel")
if not fields[4] then return -1 end
local wanted, from = ARGV[6], nil
if wanted ~= "failed" and redis.call("ZREM", KEYS[3], id) == 1 then
    from = "completed"
elseif wanted ~= "completed" and redis.call("ZREM", KEYS[4], id) == 1 then
    from = "failed"
end
if not from then return -3 end
local stale = { "finishedOn", "processedOn", "operator:callback", "operator:answer", OUTCOMES[from] }
if ARGV[4] == "1" then stale[#stale + 1] = "atm" end
if ARGV[5] == "1" then stale[#stale + 1] = "ats" end
if ARGV[7] == "1" then stale[#stale + 1] = "stc" end
add_marks(stale, fields[5])
redis.call("HDEL", job_key, unpack(stale))
note_restart(job_key, fields[3], ARGV[8])

local meta = read_meta(KEYS[7])
local line = new_line(KEYS[1], KEYS[2], KEYS[8])
line.add(id, tonumber(fields[1]) or 0, ARGV[3] == "1" or is_lifo(fields[3]))
line.flush()
if not is_paused_or_maxed(meta, KEYS[5]) then wake_now(KEYS[6]) end
count_on_child(job_key, fields[2], from)
redis.call("XADD", KEYS[9], "MAXLEN", "~", meta.max_events, "*", "event", "waiting", "jobId", id, "prev", from)
return 1
