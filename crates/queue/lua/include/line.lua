-- include/line.lua: jobs that go back in line, each to the place that its priority and options give it.
-- Uses: enqueue. Bounds: three commands and one more per prioritized job, whatever the batch.

-- Whether a job's options ask for the front of the line.
local function is_lifo(opts)
    if not opts or not string.find(opts, '"lifo"', 1, true) then return false end
    local is_readable, options = pcall(cjson.decode, opts)
    return is_readable and type(options) == "table" and options.lifo == true
end

-- Gathers jobs until `flush` puts them in line in the order in which they came.
local function new_line(wait_key, prioritized_key, pc_key)
    local last, first, prioritized = {}, {}, {}
    local line = {}
    function line.add(id, priority, lifo)
        if priority > 0 then
            prioritized[#prioritized + 1] = priority_score(priority, redis.call("INCR", pc_key))
            prioritized[#prioritized + 1] = id
        else
            local places = lifo and first or last
            places[#places + 1] = id
        end
    end
    function line.flush()
        push_all("LPUSH", wait_key, last)
        push_all("RPUSH", wait_key, first)
        push_all("ZADD", prioritized_key, prioritized)
    end
    return line
end
