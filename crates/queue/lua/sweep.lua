-- sweep.lua: throws away jobs of one state: a step of draining, cleaning or obliterating a queue.
--
-- KEYS
--   1 wait  2 paused  3 active  4 prioritized  5 delayed  6 completed  7 failed  8 waiting-children  9 repeat
--   10 events
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 the state, as its key is called
--   3 how many jobs to pass over: those that earlier steps have left there
--   4 how many jobs to look at
--   5 only jobs of this time or older, epoch ms, and no locked ones; nothing for jobs of any age
--   6 `1` when the pending iterations of schedulers stay
--   7 whether to write `cleaned`: `1`, or `2` for only if a job was removed, or `0`
-- Reply
--   1 how many jobs there were  2 how many were looked at  3 the ids of the removed
-- Events
--   `cleaned`
-- Bounds
--   the caller has at most 1000 jobs looked at; a dozen commands per job
local prefix, state, skip, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local newest = tonumber(ARGV[5])
local LISTS = { wait = KEYS[1], paused = KEYS[2], active = KEYS[3] }
local BY_TIME = { completed = KEYS[6], failed = KEYS[7], ["waiting-children"] = KEYS[8] }
local AGES = { prioritized = { "timestamp" }, delayed = { "processedOn", "timestamp" } }
local list_key = LISTS[state]
local key = list_key or BY_TIME[state] or (state == "delayed" and KEYS[5] or KEYS[4])
local has_scores_of_time = newest and BY_TIME[state]

-- Lists are looked through from the oldest, which are at the right, but each step in the order of the list.
local function look()
    if list_key then
        return redis.call("LLEN", key), redis.call("LRANGE", key, -(skip + count), -(skip + 1))
    elseif has_scores_of_time then
        return redis.call("ZCOUNT", key, 0, newest),
            redis.call("ZRANGEBYSCORE", key, 0, newest, "LIMIT", skip, count)
    end
    return redis.call("ZCARD", key), redis.call("ZRANGE", key, skip, skip + count - 1)
end

local function is_old(job_key)
    local times = AGES[state] or { "finishedOn", "processedOn", "timestamp" }
    for _, time in ipairs(redis.call("HMGET", job_key, unpack(times))) do
        if time then return (tonumber(time) or 0) <= newest end
    end
    return true
end

local function is_chosen(id)
    if has_scores_of_time then return true end
    if ARGV[6] == "1" and is_pending_iteration(KEYS[9], id) then return false end
    if not newest then return true end
    if state == "active" and redis.call("EXISTS", prefix .. id .. ":lock") == 1 then return false end
    return is_old(prefix .. id)
end

local size, ids = look()
local chosen, places = {}, {}
for place, id in ipairs(ids) do
    if is_chosen(id) then
        chosen[#chosen + 1] = id
        places[#places + 1] = place - #ids - 1 - skip
    end
end
discard(prefix, chosen)
if #chosen > 0 and not list_key then
    redis.call("ZREM", key, unpack(chosen))
elseif #chosen > 0 and #chosen == #ids and skip == 0 then
    redis.call("LTRIM", key, 0, -#ids - 1)
elseif #chosen > 0 then
    for _, place in ipairs(places) do redis.call("LSET", key, place, "") end
    redis.call("LREM", key, -#chosen, "")
end
if ARGV[7] == "1" or (ARGV[7] == "2" and #chosen > 0) then
    redis.call("XADD", KEYS[10], "*", "event", "cleaned", "count", #chosen)
end
return { size, #ids, chosen }
