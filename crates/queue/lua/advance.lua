-- advance.lua: makes the next job of a scheduler, once its current one has been claimed.
--
-- KEYS
--   1 repeat  2 wait  3 prioritized  4 delayed  5 active  6 marker  7 meta  8 id  9 pc  10 events
--   11 the scheduler
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 scheduler id
--   3 id of the claimed job
--   4 next slot of the job's pattern, epoch ms; empty when it has none
--   5 options of the next job as JSON
--   6 the worker's clock, epoch ms
-- Reply
--   id of the job made; nil when the scheduler is gone or has moved on, or the job exists
-- Events
--   `added` and `delayed` or `waiting`; `duplicated` for a job that exists
-- Bounds
--   a constant number of commands
local prefix, scheduler, now = ARGV[1], ARGV[2], tonumber(ARGV[6])
local opts = cjson.decode(ARGV[5])
local current = tonumber(redis.call("ZSCORE", KEYS[1], scheduler))
if not current or iteration_id(scheduler, current) ~= ARGV[3] then return false end
local name, data, every, offset = unpack(redis.call("HMGET", KEYS[11], "name", "data", "every", "offset"))
if not name then return false end

-- What is stored counts: the scheduler may have been changed since the job was made.
local wanted = type(opts["repeat"]) == "table" and opts["repeat"] or {}
every = tonumber(every) or tonumber(wanted.every)
local slot = tonumber(ARGV[4])
if every then
    slot = following_slot(current, now, every, tonumber(offset) or tonumber(wanted.offset) or 0)
end
if not slot then return false end
local meta = read_meta(KEYS[7])
if redis.call("EXISTS", prefix .. iteration_id(scheduler, slot)) == 1 then
    redis.call("XADD", KEYS[10], "MAXLEN", "~", meta.max_events, "*", "event", "duplicated",
        "jobId", iteration_id(scheduler, slot))
    return false
end
local json
opts, json = iteration_opts(opts, scheduler, slot, now)
redis.call("ZADD", KEYS[1], slot, scheduler)
redis.call("HINCRBY", KEYS[11], "ic", 1)
add_iteration(prefix, {
    wait = KEYS[2], prioritized = KEYS[3], delayed = KEYS[4], active = KEYS[5], marker = KEYS[6], id = KEYS[8],
    pc = KEYS[9], events = KEYS[10]
}, meta, { scheduler = scheduler, slot = slot, name = name, data = data or "{}", opts = opts, json = json, now = now })
return opts.jobId
