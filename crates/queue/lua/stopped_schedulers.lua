-- stopped_schedulers.lua: finds the schedulers whose current job will not make a next one.
--
-- KEYS
--   1 repeat
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2.. scheduler ids
-- Reply
--   flat list of id, slot of the current job and its state, for those that have stopped
-- Events
--   none
-- Bounds
--   the caller passes at most 50 ids; a job that is in no set is looked for in three lists
local prefix = ARGV[1]
local stopped = {}
for index = 2, #ARGV do
    local slot = tonumber(redis.call("ZSCORE", KEYS[1], ARGV[index]))
    local state = slot and iteration_state(prefix, iteration_id(ARGV[index], slot)) or "pending"
    if state ~= "pending" then
        stopped[#stopped + 1] = ARGV[index]
        stopped[#stopped + 1] = string.format("%.0f", slot)
        stopped[#stopped + 1] = state
    end
end
return stopped
