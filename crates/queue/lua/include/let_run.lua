-- include/let_run.lua: a job that was delayed and may run now.
-- Uses: meta, enqueue, line. Bounds: a constant number of commands.

-- `keys` names wait, prioritized, active, marker, pc and events.
local function let_run(keys, meta, id, job_key, priority, opts)
    local line = new_line(keys.wait, keys.prioritized, keys.pc)
    line.add(id, priority, is_lifo(opts))
    line.flush()
    if not is_paused_or_maxed(meta, keys.active) then wake_now(keys.marker) end
    redis.call("XADD", keys.events, "*", "event", "waiting", "jobId", id, "prev", "delayed")
    redis.call("HSET", job_key, "delay", 0)
end
