-- state.lua: where a job is, seen in one step so that a job on the move is never nowhere.
--
-- KEYS
--   1 active
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 job id
-- Reply
--   the state, or `unknown`
-- Events
--   none
-- Bounds
--   eight look-ups; those in lists are linear in the list
-- The key says where in a cluster the queue is; whoever asks mostly asks for a job that runs.
if redis.call("LPOS", KEYS[1], ARGV[2]) then return "active" end
return find_state(ARGV[1], ARGV[2]) or "unknown"
