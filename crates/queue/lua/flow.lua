-- flow.lua: adds trees of jobs, in any number of queues, all of them or (when one is refused) none.
--
-- KEYS
--   1 id
--     not read: it says where in a cluster the queues are, and their keys are derived from the prefixes
-- ARGV
--   1 msgpack list of the queues' key prefixes, with the trailing colon
--   2 msgpack list of [job, queue, waits]: a job as add.lua takes it, the position of its queue (from 1) and whether
--     it waits for children; parents come before their children
--   3 the caller's clock, epoch ms
--   4 `1` when an earlier call may have added the jobs: its answer was lost
-- Reply
--   as add.lua's
-- Events
--   as add.lua's; `waiting-children` for a job that waits for others
-- Bounds
--   the caller limits the jobs of a call; a repeated one looks at 5000 events of each queue
local prefixes, nodes, now = cmsgpack.unpack(ARGV[1]), cmsgpack.unpack(ARGV[2]), tonumber(ARGV[3])
local jobs = {}
for position, node in ipairs(nodes) do
    jobs[position] = node[1]
    jobs[position].queue, jobs[position].waits_for_children = node[2], node[3]
end
local refused, code = why_not_add(jobs, function(job) return prefixes[job.queue] end)
if refused then return { 0, refused, code } end
local intakes, counts = {}, {}
for position, prefix in ipairs(prefixes) do
    intakes[position] = new_intake(prefix, {
        wait = prefix .. "wait", prioritized = prefix .. "prioritized", delayed = prefix .. "delayed",
        active = prefix .. "active", marker = prefix .. "marker", meta = prefix .. "meta", pc = prefix .. "pc",
        events = prefix .. "events", waiting_children = prefix .. "waiting-children"
    }, ARGV[4] == "1")
    counts[position] = 0
end
for _, job in ipairs(jobs) do counts[job.queue] = counts[job.queue] + 1 end
for position, prefix in ipairs(prefixes) do redis.call("INCRBY", prefix .. "id", counts[position]) end

local others, attached = {}, {}
for position, job in ipairs(jobs) do
    local other = take_in(intakes[job.queue], job, job.waits_for_children)
    if other then
        others[#others + 1] = position
        others[#others + 1] = other
        if job[PARENT_KEY] then attached[#attached + 1] = job end
    end
end
for _, intake in ipairs(intakes) do close_intake(intake) end
-- Children that had completed before may have been all that a parent waited for.
release_parents(attached, now)
return others
