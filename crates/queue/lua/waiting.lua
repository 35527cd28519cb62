-- waiting.lua: a page of the ids that wait, with those that BullMQ 5 parked while the queue was paused.
--
-- KEYS
--   1 wait  2 paused
-- ARGV
--   1 position of the first, from 0
--   2 position of the last
--   3 1 for the next to be served first, 0 for the newest first
-- Reply
--   the ids
-- Events
--   none
-- Bounds
--   at most four commands; the caller asks for at most 1000 ids
local first, last, is_ascending = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == "1"

-- Both lists hold their newest at the left, and resuming puts the parked jobs to the right of all others.
local function add_page(ids, key, from, to)
    if to < 0 then return end
    from = math.max(from, 0)
    local page = redis.call("LRANGE", key, is_ascending and -1 - to or from, is_ascending and -1 - from or to)
    for index = 1, #page do ids[#ids + 1] = page[is_ascending and #page + 1 - index or index] end
end

local ids = {}
local older, newer = KEYS[2], KEYS[1]
local before, after = newer, older
if is_ascending then before, after = older, newer end
local length = redis.call("LLEN", before)
if first < length then add_page(ids, before, first, last) end
if last >= length then add_page(ids, after, first - length, last - length) end
return ids
