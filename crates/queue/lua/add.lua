-- add.lua: adds a batch of jobs, all of them or (when one is refused) none.
--
-- KEYS
--   1 wait  2 prioritized  3 delayed  4 active  5 marker  6 meta  7 id  8 pc  9 events
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 msgpack list of jobs: [id, name, data, opts, timestamp as text, may exist, delay, priority, lifo, parent key or
--     nil, parent JSON or nil, deduplication or nil], which ends with the timestamp for a job that has nothing else;
--     `may exist` is false for an id generated for this call: then the look for an older job is spared,
--     unless it has deduplication; that is [id, ttl or nil, extend, replace, keep last, reschedule]
--   3 the caller's clock, epoch ms
--   4 `1` when an earlier call may have added the jobs: its answer was lost
-- Reply
--   flat list of position (from 1) and id for the jobs that another job stands for: their own id when it existed, the
--   owner's of their deduplication id; or [0, position, code] of the job for which all were refused
-- Events
--   per job `added` and `waiting` or `delayed`; `duplicated` for an id that existed; of deduplication `deduplicated`,
--   and `removed` for a replaced or `delayed` for a rescheduled job; of a released parent `waiting` or `delayed`
-- Bounds
--   the caller passes at most 1000 jobs; a repeated call looks at 5000 events
local prefix, now = ARGV[1], tonumber(ARGV[3])
local jobs = cmsgpack.unpack(ARGV[2])
local refused, code = why_not_add(jobs, function() return prefix end)
if refused then return { 0, refused, code } end

local intake = new_intake(prefix, {
    wait = KEYS[1], prioritized = KEYS[2], delayed = KEYS[3], active = KEYS[4], marker = KEYS[5], meta = KEYS[6],
    id = KEYS[7], pc = KEYS[8], events = KEYS[9]
}, ARGV[4] == "1")
redis.call("INCRBY", KEYS[7], #jobs)
local others, attached = {}, {}
for position, job in ipairs(jobs) do
    local other = take_in(intake, job, false)
    if other then
        others[#others + 1] = position
        others[#others + 1] = other
        if job[PARENT_KEY] then attached[#attached + 1] = job end
    end
end
close_intake(intake)
release_parents(attached, now)
return others
