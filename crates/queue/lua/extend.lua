-- extend.lua: renews the locks of running jobs, and tells which of them are to be cancelled.
--
-- KEYS
--   1 stalled  2 operator:cancelling
--     the second is there while running jobs are being cancelled
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 lock duration in ms
--   3 msgpack list of [id, token]
-- Reply
--   positions (from 1) of the jobs whose lock is gone or someone else's; negative ones of those that are held and to be
--   cancelled
-- Events
--   none
-- Bounds
--   the caller passes at most 1000 jobs; marks are looked for only while running jobs are being cancelled
local jobs = cmsgpack.unpack(ARGV[3])
local lock_keys, told, alive = {}, {}, {}
for index, job in ipairs(jobs) do lock_keys[index] = ARGV[1] .. job[1] .. ":lock" end
lock_keys[#jobs + 1] = KEYS[2]
local tokens = redis.call("MGET", unpack(lock_keys))
for index, job in ipairs(jobs) do
    if tokens[index] == job[2] then
        redis.call("PEXPIRE", lock_keys[index], ARGV[2])
        alive[#alive + 1] = job[1]
        if tokens[#jobs + 1] then
            local fields = redis.call("HMGET", ARGV[1] .. job[1], "defa", "operator:cancel")
            if is_to_be_cancelled(fields[1], fields[2]) then told[#told + 1] = -index end
        end
    else
        told[#told + 1] = index
    end
end
if #alive > 0 then redis.call("SREM", KEYS[1], unpack(alive)) end
return told
