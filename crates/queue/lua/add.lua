-- add.lua: adds a batch of jobs, all of them or (when Redis dies first) none.
--
-- KEYS
--   1 wait  2 prioritized  3 delayed  4 active  5 marker  6 meta  7 id  8 pc  9 events
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 msgpack list of jobs: [id, may exist, name, data, opts, timestamp, delay, priority, lifo]
--     `may exist` is false for an id generated for this call: then the look for an older job is spared
-- Reply
--   positions (from 1) of the jobs whose id already existed; they were left as they are
-- Events
--   `added` and `waiting` or `delayed` per job; `duplicated` for an id that existed
-- Bounds
--   the caller passes at most 1000 jobs
local prefix = ARGV[1]
local jobs = cmsgpack.unpack(ARGV[2])
local meta = read_meta(KEYS[6])
local events = KEYS[9]
redis.call("INCRBY", KEYS[7], #jobs)

local duplicates, front, back, prioritized, delayed = {}, {}, {}, {}, {}
local score_delayed = delayed_scorer(KEYS[3])
local arrivals = 0
for _, job in ipairs(jobs) do
    if job[8] > 0 and job[7] == 0 then arrivals = arrivals + 1 end
end
local arrival = arrivals > 0 and redis.call("INCRBY", KEYS[8], arrivals) - arrivals or 0

for position, job in ipairs(jobs) do
    local id, timestamp, delay, priority = job[1], job[6], job[7], job[8]
    local key = prefix .. id
    if job[2] and redis.call("EXISTS", key) == 1 then
        duplicates[#duplicates + 1] = position
        redis.call("XADD", events, "*", "event", "duplicated", "jobId", id)
    else
        redis.call("HSET", key, "name", job[3], "data", job[4], "opts", job[5],
            "timestamp", timestamp, "delay", delay, "priority", priority)
        redis.call("XADD", events, "*", "event", "added", "jobId", id, "name", job[3])
        if delay > 0 then
            local due = timestamp + delay
            delayed[#delayed + 1] = score_delayed(due)
            delayed[#delayed + 1] = id
            redis.call("XADD", events, "*", "event", "delayed", "jobId", id, "delay", due)
        else
            if priority > 0 then
                arrival = arrival + 1
                prioritized[#prioritized + 1] = priority_score(priority, arrival)
                prioritized[#prioritized + 1] = id
            elseif job[9] then
                front[#front + 1] = id
            else
                back[#back + 1] = id
            end
            redis.call("XADD", events, "*", "event", "waiting", "jobId", id)
        end
    end
end

push_all("LPUSH", KEYS[1], back)
push_all("RPUSH", KEYS[1], front)
push_all("ZADD", KEYS[2], prioritized)
push_all("ZADD", KEYS[3], delayed)
redis.call("XTRIM", events, "MAXLEN", "~", meta.max_events)
if #back + #front + #prioritized > 0 and not is_paused_or_maxed(meta, KEYS[4]) then wake_now(KEYS[5]) end
if #delayed > 0 then wake_when_due(KEYS[5], KEYS[3]) end
return duplicates
