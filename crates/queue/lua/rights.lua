-- rights.lua: which of the named commands the user of this connection may not run on our keys.
--
-- KEYS
--   1 operator:queues
--     not read: it stands for all keys under the prefix
-- ARGV
--   1.. command names; words that are no commands are passed over
-- Reply
--   list of the refused ones; empty before Redis 7, which cannot be asked
-- Events
--   none
-- Bounds
--   as many checks as names
local refused = {}
if not redis.acl_check_cmd then return refused end
for _, name in ipairs(ARGV) do
    local is_command, may_run = pcall(redis.acl_check_cmd, name, KEYS[1])
    if is_command and not may_run then refused[#refused + 1] = name end
end
return refused
