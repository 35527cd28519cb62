-- cancel.lua: ends a job before its time. One that does not run fails here and now; one that runs is marked as to be
-- cancelled, and its worker is told.
--
-- KEYS
--   1 repeat  2 failed  3 events  4 meta  5 operator:history  6 operator:cancelling
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 job id
--   3 the caller's clock, epoch ms
--   4 why, as `failedReason` is to have it
--   5 how many attempts it has made  6 and started, as the caller knows the job
--   7 keep count, 8 keep age (s), 9 keep limit of the failed job; -1 is none
--   10 its record for the history; 11 how many entries that may hold
--   12 `1` to cancel it, `0` to fail it because it waited for too long
-- Reply
--   1 it is cancelled; 2 it runs, and its worker was told; 3 it runs on a worker that cannot be told, or has none;
--   -1 no such job, -3 it has finished, -8 the pending iteration of a scheduler, -101 it is not as the caller knows it
-- Events
--   `failed` with the state it left as prev; what its end means to its parent has events of its own
-- Bounds
--   a constant number of commands, a look through the list of its state, and the keep policy's own limits
local prefix, id, now, reason = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local job_key = prefix .. id
-- How long a worker that was told may take to hear of it, ms, and how long renewals go on looking for marks: much longer
-- than the pause between two of them, which is a quarter of a lock's duration.
local TOLD_FOR, LOOKED_FOR = 60000, 3600000

local fields = redis.call("HMGET", job_key, "name", "atm", "ats", "data", "parentKey", "parent", "deid", "defa", "operator:cancel")
if not fields[1] then return -1 end
local state = find_state(prefix, id)
if state == "completed" or state == "failed" then return -3 end
local lock = redis.call("GET", job_key .. ":lock")

if ARGV[12] == "0" and state ~= "waiting" and state ~= "prioritized" then return -101 end
if state == "active" then
    -- The first reason stays.
    if not is_to_be_cancelled(fields[8], fields[9]) then
        redis.call("HSET", job_key, "operator:cancel", reason, "defa", reason)
    end
    redis.call("SET", KEYS[6], ARGV[3], "PX", LOOKED_FOR)
    -- Our workers' tokens begin with an id of the seventh version, and end with the number of the claim.
    local worker = lock and string.match(lock, "^(%x+%-%x+%-7%x+%-%x+%-%x+):%d+$")
    if not worker then return 3 end
    local told_key = prefix .. "operator:cancel:" .. worker
    redis.call("ZADD", told_key, ARGV[3], id)
    redis.call("PEXPIRE", told_key, TOLD_FOR)
    return 2
end
if (tonumber(fields[2]) or 0) ~= tonumber(ARGV[5]) or (tonumber(fields[3]) or 0) ~= tonumber(ARGV[6]) then return -101 end
if is_pending_iteration(KEYS[1], id) then return -8 end

leave_state(prefix, id)
local parent_key, parent = fields[5], nil
if parent_key then
    parent = parent_of(parent_key, fields[6])
    child_failed(job_key, parent_key, parent, reason, now)
end
if fields[7] then release_deduplication(prefix, id, fields[7], now) end
local count, age, limit = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
if count == 0 then
    if parent_key then child_removed(job_key, parent_key, parent, now) end
    delete_job_keys(job_key)
else
    redis.call("HSET", job_key, "failedReason", reason, "finishedOn", now)
    if ARGV[12] == "1" then redis.call("HSET", job_key, "operator:cancel", reason) end
    if fields[8] then redis.call("HDEL", job_key, "defa") end
    redis.call("ZADD", KEYS[2], now, id)
    if count > 0 or age >= 0 then keep_only(KEYS[2], prefix, count, age, limit, now, sweep_allowance()) end
end
redis.call("XADD", KEYS[3], "MAXLEN", "~", read_meta(KEYS[4]).max_events, "*", "event", "failed", "jobId", id,
    "failedReason", reason, "prev", state or "unknown")
-- Only where history is kept: a queue without has no such stream.
redis.call("XADD", KEYS[5], "NOMKSTREAM", "MAXLEN", "~", ARGV[11], "*", "record", ARGV[10], "data", fields[4] or "{}",
    "value", reason)
return 1
