-- progress.lua: notes how far a job has come.
--
-- KEYS
--   1 meta  2 events  3 the job
-- ARGV
--   1 job id
--   2 progress as JSON
-- Reply
--   0 done, -1 no such job
-- Events
--   `progress`
-- Bounds
--   a constant number of commands
if redis.call("EXISTS", KEYS[3]) == 0 then return -1 end
redis.call("HSET", KEYS[3], "progress", ARGV[2])
redis.call("XADD", KEYS[2], "MAXLEN", "~", read_meta(KEYS[1]).max_events, "*", "event", "progress", "jobId", ARGV[1],
    "data", ARGV[2])
return 0
