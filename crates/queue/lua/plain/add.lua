-- plain/add.lua: add.lua for what nearly every call brings: jobs with nothing but a name, data and options, which go to
-- the end of the line. Anything else is left to `with_all_parts`, before anything is written.
--
-- Every function and every number that a script makes is made anew in each call, which for one job is more work than
-- its commands: so there are no functions here, and what is written stays the text that it came as.
--
-- KEYS, ARGV, Reply, Events, Bounds
--   as add.lua's
local call, prefix = redis.call, ARGV[1]
if ARGV[4] == "1" then return with_all_parts() end
local jobs = cmsgpack.unpack(ARGV[2])
for index = 1, #jobs do
    -- A plain job ends with its timestamp, the fifth of its values.
    if jobs[index][6] ~= nil then return with_all_parts() end
end
local meta = call("HMGET", KEYS[6], "opts.maxLenEvents", "paused", "concurrency")
-- A number that a stream can be trimmed to, whoever wrote it.
if not meta[1] or #meta[1] > 15 or not string.find(meta[1], "^[1-9]%d*$") or meta[3] then return with_all_parts() end

call("INCRBY", KEYS[7], #jobs)
local events, ids, others = KEYS[9], {}, {}
for index = 1, #jobs do
    local job = jobs[index]
    local id, name = job[1], job[2]
    local added = call("HSET", prefix .. id, "name", name, "data", job[3], "opts", job[4], "timestamp", job[5],
        "delay", "0", "priority", "0")
    if added == 6 then
        ids[#ids + 1] = id
        call("XADD", events, "*", "event", "added", "jobId", id, "name", name)
        if index < #jobs then
            call("XADD", events, "*", "event", "waiting", "jobId", id)
        else
            call("XADD", events, "MAXLEN", "~", meta[1], "*", "event", "waiting", "jobId", id)
        end
    else
        -- The call was repeated before it arrived.
        others[#others + 1], others[#others + 2] = index, id
    end
end
if #ids > 0 then
    call("LPUSH", KEYS[1], unpack(ids))
    if not meta[2] then call("ZADD", KEYS[5], "0", "0") end
end
return others
