-- extend.lua: renews the locks of running jobs.
--
-- KEYS
--   1 stalled
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 lock duration in ms
--   3 msgpack list of [id, token]
-- Reply
--   positions (from 1) of the jobs whose lock is gone or someone else's
-- Events
--   none
-- Bounds
--   the caller passes at most 1000 jobs
local jobs = cmsgpack.unpack(ARGV[3])
local lock_keys, lost, alive = {}, {}, {}
for index, job in ipairs(jobs) do lock_keys[index] = ARGV[1] .. job[1] .. ":lock" end
local tokens = redis.call("MGET", unpack(lock_keys))
for index, job in ipairs(jobs) do
    if tokens[index] == job[2] then
        redis.call("PEXPIRE", lock_keys[index], ARGV[2])
        alive[#alive + 1] = job[1]
    else
        lost[#lost + 1] = index
    end
end
if #alive > 0 then redis.call("SREM", KEYS[1], unpack(alive)) end
return lost
