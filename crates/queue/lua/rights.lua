-- rights.lua: which of the named commands the user of this connection may not run on our keys.
--
-- KEYS
--   1 operator:rights
--     a key of our own; every command is tried on it, and it is gone afterwards
-- ARGV
--   1.. command names; words that are no commands are passed over
-- Reply
--   list of the refused ones
-- Events
--   none
-- Bounds
--   a dozen calls for each name
local key = KEYS[1]

local function says(reply, text)
    return type(reply) == "table" and reply.err and string.find(string.lower(reply.err), text, 1, true)
end

-- A server looks at the number of arguments first and at the rights next. What follows cannot have any effect, because
-- all arguments are the one key.
local function is_refused(name)
    local arguments, reply = {}, nil
    repeat
        arguments[#arguments + 1] = key
        reply = redis.pcall(name, unpack(arguments))
    until not says(reply, "wrong number of arg") or #arguments == 8
    return says(reply, "can't run this command") or says(reply, "can't access at least one of the keys") or
        says(reply, "noperm")
end

local refused = {}
for _, name in ipairs({ "SET", "DEL" }) do
    if is_refused(name) then refused[#refused + 1] = name end
end
if #refused > 0 then return refused end
for _, name in ipairs(ARGV) do
    -- A text under the key keeps lists, sets and streams from coming about.
    redis.call("SET", key, "", "PX", 1000)
    if is_refused(name) then refused[#refused + 1] = name end
end
redis.call("DEL", key)
return refused
