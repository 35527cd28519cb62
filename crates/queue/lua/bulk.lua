-- bulk.lua: puts finished or delayed jobs back in line, the oldest first; a step of retrying or promoting them all.
--
-- KEYS
--   1 wait  2 prioritized  3 completed  4 failed  5 delayed  6 active  7 marker  8 meta  9 pc  10 events
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 where the jobs are: `completed`, `failed` or `delayed`
--   3 the highest score of a job to move
--   4 how many to move
--   5 the caller's clock, epoch ms
-- Reply
--   how many were moved; fewer than asked for means that none are left
-- Events
--   `waiting` with prev per job
-- Bounds
--   the caller asks for at most 1000 jobs
local prefix, from = ARGV[1], ARGV[2]
local set_key = ({ completed = KEYS[3], failed = KEYS[4], delayed = KEYS[5] })[from]
local ids = redis.call("ZRANGEBYSCORE", set_key, 0, ARGV[3], "LIMIT", 0, ARGV[4])
if #ids == 0 then return 0 end
local meta = read_meta(KEYS[8])
local line = new_line(KEYS[1], KEYS[2], KEYS[9])
for _, id in ipairs(ids) do
    local job_key = prefix .. id
    local fields = redis.call("HMGET", job_key, "priority", "opts", "parentKey", "operator:cancel")
    line.add(id, tonumber(fields[1]) or 0, is_lifo(fields[2]))
    if from ~= "delayed" then
        local stale = { "finishedOn", "processedOn", "operator:callback", "operator:answer", OUTCOMES[from] }
        add_marks(stale, fields[4])
        redis.call("HDEL", job_key, unpack(stale))
        note_restart(job_key, fields[2], ARGV[5])
        count_on_child(job_key, fields[3], from)
    end
    redis.call("XADD", KEYS[10], "MAXLEN", "~", meta.max_events, "*", "event", "waiting", "jobId", id, "prev", from)
end
redis.call("ZREM", set_key, unpack(ids))
line.flush()
if not is_paused_or_maxed(meta, KEYS[6]) then wake_now(KEYS[7]) end
return #ids
