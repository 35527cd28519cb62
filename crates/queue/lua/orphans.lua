-- orphans.lua: removes jobs that are in no state, of those that the caller suspects.
--
-- KEYS
--   1 active
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2.. ids
-- Reply
--   how many jobs were removed
-- Events
--   none
-- Bounds
--   the caller passes at most 100 ids; eight look-ups each, of which those in lists are linear in the list
local removed = 0
for index = 2, #ARGV do
    local id = ARGV[index]
    local job_key = ARGV[1] .. id
    -- What lacks a field that every job has is something else's, and stays.
    if redis.call("TYPE", job_key).ok == "hash" then
        local fields = redis.call("HMGET", job_key, "name", "data", "opts", "timestamp")
        local is_job = fields[1] and fields[2] and fields[3] and fields[4]
        if is_job and not redis.call("LPOS", KEYS[1], id) and not find_state(ARGV[1], id) then
            delete_job_keys(job_key)
            removed = removed + 1
        end
    end
end
return removed
