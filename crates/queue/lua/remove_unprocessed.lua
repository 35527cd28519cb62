-- remove_unprocessed.lua: removes children that a job still waits for, a step of them at a time.
--
-- KEYS
--   1 the job's dependencies
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 job id
--   3 the caller's clock, epoch ms
--   4 where the last step ended, `0` at first
--   5 how many children a step looks at, roughly
--   6 how many jobs may be below one of the children
--   7 how many entries of lists a step may look at, unless a single child takes more
-- Reply
--   1 how many jobs were removed; -100 when there are more jobs below a child than may go at once, or too many jobs in
--   line with them, and nothing was removed in this step  2 where the next step begins  3 `1` when there is a next step
-- Events
--   `removed` per job, in its queue; `waiting` when the job waited for these children only
-- Bounds
--   the given numbers, a constant number of commands for each job, and a look through the lists of one child's queue
local prefix, id, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local job_key, limit = prefix .. id, tonumber(ARGV[6])
local UNPROCESSED = { ":dependencies" }

local function takes(child_prefix, child_id)
    return redis.call("EXISTS", child_prefix .. child_id .. ":lock") == 0
        and not redis.call("ZSCORE", child_prefix .. "failed", child_id)
end

local page = { "0", {} }
if ARGV[4] == "0" and redis.call("SCARD", KEYS[1]) <= tonumber(ARGV[5]) then
    page[2] = redis.call("SMEMBERS", KEYS[1])
else
    page = redis.call("SSCAN", KEYS[1], ARGV[4], "COUNT", ARGV[5])
end

local chosen, count, is_more = {}, 0, page[1] ~= "0"
local effort = new_effort(tonumber(ARGV[7]))
for _, child_key in ipairs(page[2]) do
    local child_prefix, child_id = split_job_key(child_key)
    if child_prefix and takes(child_prefix, child_id) then
        local below = count_tree(child_key, UNPROCESSED, limit, effort)
        if #chosen == 0 and (below > limit or effort.is_too_much()) then return { -100, "0", 0 } end
        count = count + below
        if #chosen > 0 then effort.add(child_key) end
        -- What does not fit into this step is found on the same page again: the chosen are gone by then.
        if count > limit or effort.is_too_much() then
            page[1], is_more = ARGV[4], true
            break
        end
        chosen[#chosen + 1] = child_key
    end
end

local removed, as_parent = 0, { queueKey = string.sub(prefix, 1, -2), id = id }
for _, child_key in ipairs(chosen) do
    local child_prefix, child_id = split_job_key(child_key)
    child_removed(child_key, job_key, as_parent, now)
    removed = removed + remove_children(child_prefix, child_id, UNPROCESSED, takes, now)
    if remove_job(child_prefix, child_id) then removed = removed + 1 end
end
return { removed, page[1], is_more and 1 or 0 }
