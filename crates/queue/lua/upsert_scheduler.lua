-- upsert_scheduler.lua: makes a scheduler, or gives one another schedule and template, and makes its next job.
--
-- KEYS
--   1 repeat  2 wait  3 prioritized  4 delayed  5 active  6 marker  7 meta  8 id  9 pc  10 events  11 paused
--   12 the scheduler
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 scheduler id
--   3 msgpack list: [name, every, pattern, tz, limit, start, end, offset, slot of the pattern], each nil when not given
--   4 options of the next job as JSON
--   5 the template's data as JSON
--   6 the template's options as JSON
--   7 the caller's clock, epoch ms
-- Reply
--   [id, delay] of the next job; -10 when the pattern's slot has a job that cannot be replaced, -11 when that is so for
--   33 slots of `every`: then nothing has changed
-- Events
--   `added` and `delayed` or `waiting`; none for the pending job that the new one replaces
-- Bounds
--   a constant number of commands, two of them linear in `wait` and `paused`; up to 33 look-ups for taken slots
local SLOT_TAKEN, SLOTS_TAKEN = -10, -11
local NAME, EVERY, PATTERN, ZONE, LIMIT, START, END, OFFSET, CRON_SLOT = 1, 2, 3, 4, 5, 6, 7, 8, 9
local prefix, scheduler, now = ARGV[1], ARGV[2], tonumber(ARGV[7])
local given, opts = cmsgpack.unpack(ARGV[3]), cjson.decode(ARGV[4])
local keys = { wait = KEYS[2], prioritized = KEYS[3], delayed = KEYS[4], active = KEYS[5], marker = KEYS[6],
    id = KEYS[8], pc = KEYS[9], events = KEYS[10], paused = KEYS[11] }
local scheduler_key, every = KEYS[12], given[EVERY]
local stored = redis.call("HMGET", scheduler_key, "every", "offset", "ic")
local previous = tonumber(redis.call("ZSCORE", KEYS[1], scheduler))

-- The job that the scheduler has pending, if it can still be replaced, and the key it is in. BullMQ 5 parks the jobs of
-- a paused queue in `paused`; newer producers leave them in `wait`, whether the queue is paused or not.
local function find_pending(id)
    if redis.call("EXISTS", prefix .. id) == 0 then return nil end
    if redis.call("ZSCORE", keys.delayed, id) then return "ZREM", keys.delayed end
    if redis.call("ZSCORE", keys.prioritized, id) then return "ZREM", keys.prioritized end
    if redis.call("LPOS", keys.wait, id) then return "LREM", keys.wait end
    if redis.call("LPOS", keys.paused, id) then return "LREM", keys.paused end
end

local pending = previous and iteration_id(scheduler, previous)
local take_out, pending_key
if pending then take_out, pending_key = find_pending(pending) end
local keeps_interval = every and previous and tonumber(stored[1]) == every
local function is_free(slot)
    local id = iteration_id(scheduler, slot)
    return (take_out and id == pending) or redis.call("EXISTS", prefix .. id) == 0
end

local slot, offset = given[CRON_SLOT], given[OFFSET]
if every then
    if not keeps_interval then
        slot = first_slot(now, every, offset or 0, given[START])
    elseif take_out then
        slot = previous
    else
        slot = following_slot(previous, now, every, offset or 0)
    end
end
-- Where the slots lie within their interval stays on record when the pending job is only replaced.
if take_out then
    offset = offset or tonumber(stored[2])
else
    offset = offset or (every and slot - math.floor(slot / every) * every) or 0
end
slot = every and free_slot(slot, every, is_free) or (not every and is_free(slot) and slot)
if not slot then return every and SLOTS_TAKEN or SLOT_TAKEN end
local meta = read_meta(KEYS[7])
local json
opts, json = iteration_opts(opts, scheduler, slot, now)

if take_out == "ZREM" then redis.call("ZREM", pending_key, pending) end
if take_out == "LREM" then redis.call("LREM", pending_key, 1, pending) end
if take_out then
    local dedup_id = redis.call("HGET", prefix .. pending, "deid")
    if dedup_id then forget_deduplication(prefix, pending, dedup_id) end
    delete_job_keys(prefix .. pending)
end

local fields = { "name", given[NAME], "ic", stored[3] or 1 }
local function set(name, value)
    if not value then return end
    fields[#fields + 1] = name
    fields[#fields + 1] = value
end
set("every", every)
set("pattern", given[PATTERN])
set("tz", given[ZONE])
set("limit", given[LIMIT])
set("startDate", given[START])
set("endDate", given[END])
set("offset", offset)
set("opts", ARGV[6] ~= "{}" and ARGV[6])
set("data", ARGV[5] ~= "{}" and ARGV[5])
redis.call("DEL", scheduler_key)
redis.call("HSET", scheduler_key, unpack(fields))
redis.call("ZADD", KEYS[1], slot, scheduler)
add_iteration(prefix, keys, meta, {
    scheduler = scheduler, slot = slot, name = given[NAME], data = ARGV[5], opts = opts, json = json, now = now
})
return { opts.jobId, opts.delay }
