-- update_data.lua: gives a job other data.
--
-- KEYS
--   1 the job
-- ARGV
--   1 data as JSON
-- Reply
--   0 done, -1 no such job, or the job's own limit on the size of its data, in bytes, if this is more
-- Events
--   none
-- Bounds
--   a constant number of commands
local fields = redis.call("HMGET", KEYS[1], "name", "opts")
if not fields[1] then return -1 end
if fields[2] and string.find(fields[2], '"sizeLimit"', 1, true) then
    local is_readable, opts = pcall(cjson.decode, fields[2])
    local limit = is_readable and type(opts) == "table" and tonumber(opts.sizeLimit)
    if limit and limit > 0 and #ARGV[1] > limit then return limit end
end
redis.call("HSET", KEYS[1], "data", ARGV[1])
return 0
