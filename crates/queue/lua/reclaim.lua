-- reclaim.lua: finds what a claim handed out when its reply was lost with the connection.
--
-- KEYS
--   1 active
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 the token of the lost claim
-- Reply
--   list of claimed jobs as settle.lua gives them
-- Events
--   none: the claim has written them
-- Bounds
--   looks at the newest 5000 active jobs; a claim puts its jobs there
local jobs = {}
local ids = redis.call("LRANGE", KEYS[1], 0, 4999)
for first = 1, #ids, 1000 do
    local last = math.min(first + 999, #ids)
    local lock_keys = {}
    for index = first, last do lock_keys[#lock_keys + 1] = ARGV[1] .. ids[index] .. ":lock" end
    local locks = redis.call("MGET", unpack(lock_keys))
    for index = first, last do
        if locks[index - first + 1] == ARGV[2] then
            local fields = redis.call("HMGET", ARGV[1] .. ids[index], "name", "data", "opts", "timestamp", "delay",
                "priority", "ats", "defa", "rjk", "deid", "parentKey", "atm", "stc", "stacktrace", "pb", "operator:restarted")
            fields[17] = ids[index]
            if fields[1] then jobs[#jobs + 1] = fields end
        end
    end
end
return jobs
