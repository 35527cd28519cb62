-- repair_scheduler.lua: sets a scheduler going again whose current job is gone or has ended without a next one.
--
-- KEYS
--   1 repeat  2 wait  3 prioritized  4 delayed  5 active  6 marker  7 meta  8 id  9 pc  10 events
--   11 the scheduler
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 scheduler id
--   3 slot of the current job when it was looked at, epoch ms
--   4 its state then: `missing`, `lost` or `finished`
--   5 `1` to make the job of that slot anew instead of the next one
--   6 next slot of the pattern, epoch ms; empty when there is none
--   7 options of the new job as JSON
--   8 the caller's clock, epoch ms
-- Reply
--   id of the job made; nil when the scheduler is gone, has gone on or was repaired by another; -10 when the pattern's
--   slot has a job, -11 when that is so for 33 slots of `every`
-- Events
--   `added` and `delayed` or `waiting`
-- Bounds
--   a constant number of commands, three of them linear in a list; up to 33 look-ups for taken slots
local SLOT_TAKEN, SLOTS_TAKEN = -10, -11
local prefix, scheduler, now = ARGV[1], ARGV[2], tonumber(ARGV[8])
local is_same_slot, opts = ARGV[5] == "1", cjson.decode(ARGV[7])
local current = tonumber(redis.call("ZSCORE", KEYS[1], scheduler))
if not current or string.format("%.0f", current) ~= ARGV[3] then return false end
local id = iteration_id(scheduler, current)
if iteration_state(prefix, id) ~= ARGV[4] then return false end
local name, data, every, offset = unpack(redis.call("HMGET", KEYS[11], "name", "data", "every", "offset"))
if not name then return false end

every = tonumber(every)
local slot = tonumber(ARGV[6])
if is_same_slot then
    slot = current
elseif every then
    slot = following_slot(current, now, every, tonumber(offset) or 0)
end
local function is_free(candidate)
    return (is_same_slot and candidate == current)
        or redis.call("EXISTS", prefix .. iteration_id(scheduler, candidate)) == 0
end
if not slot then return false end
slot = every and free_slot(slot, every, is_free) or (not every and is_free(slot) and slot)
if not slot then return every and SLOTS_TAKEN or SLOT_TAKEN end
local meta = read_meta(KEYS[7])
local json
opts, json = iteration_opts(opts, scheduler, slot, now)
if is_same_slot then
    -- Nothing of a job that is in no list may be left in the one made anew.
    delete_job_keys(prefix .. id)
else
    redis.call("HINCRBY", KEYS[11], "ic", 1)
end
redis.call("ZADD", KEYS[1], slot, scheduler)
add_iteration(prefix, {
    wait = KEYS[2], prioritized = KEYS[3], delayed = KEYS[4], active = KEYS[5], marker = KEYS[6], id = KEYS[8],
    pc = KEYS[9], events = KEYS[10]
}, meta, { scheduler = scheduler, slot = slot, name = name, data = data or "{}", opts = opts, json = json, now = now })
return opts.jobId
