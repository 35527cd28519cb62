-- settle.lua: settles a batch of outcomes and claims the next jobs in the same step. Either part may be empty.
--
-- KEYS
--   1 wait  2 prioritized  3 delayed  4 active  5 marker  6 meta  7 completed  8 failed  9 stalled  10 limiter
--   11 pc  12 events  13 operator:history
-- ARGV
--   1 key prefix of the queue, with the trailing colon
--   2 the worker's clock, epoch ms
--   3 msgpack list of outcomes: [id, token, kind, value, stack, delay, lifo, keep count, keep age (s), keep limit,
--     attempts], which ends with the value for a completed job that is kept; kind is 1 completed, 2 failed, 3 retried now, 4 retried later, 5 handed back, 6 postponed,
--     7 parked until its children have finished, 8 cancelled; value is the result as JSON, the reason as text, or the key of the
--     one child to wait for; a keep count or age of -1 is none
--   4 msgpack list [count, token, lock ms as text, worker name or nil, rate max or nil, rate duration or nil, minutes or nil,
--     whether nothing is claimed when an outcome is refused]: what to claim, and for how many minutes finished jobs are
--     counted
--   5 how many entries history may hold; 0 keeps none
--   6.. with history, the record of each outcome (Redis' msgpack reads no binary, so they are not in the list)
-- Reply
--   1 flat list of position (from 1) and error code of the refused outcomes
--   2 list of claimed jobs: name, data, opts, timestamp, delay, priority, ats, defa, rjk, deid, parentKey, atm, stc,
--     stacktrace, pb (of the claim before), operator:restarted, id
--   3 due time of the earliest delayed job, epoch ms as text, or 0
--   4 ms for which the rate limit forbids more, or 0
-- Events
--   `completed`, `failed`, `retries-exhausted`, `waiting`, `delayed` per outcome; `waiting` per promoted job; `active`
--   per claimed job; `drained` when the last job finished and nothing waits
-- Bounds
--   the caller passes at most 500 outcomes and claims at most 1000; at most 1000 delayed jobs are promoted
local prefix, now = ARGV[1], tonumber(ARGV[2])
local keys = {
    wait = KEYS[1], prioritized = KEYS[2], delayed = KEYS[3], active = KEYS[4], marker = KEYS[5], meta = KEYS[6],
    completed = KEYS[7], failed = KEYS[8], stalled = KEYS[9], limiter = KEYS[10], pc = KEYS[11], events = KEYS[12],
    history = KEYS[13]
}
local outcomes = cmsgpack.unpack(ARGV[3])
local wanted = cmsgpack.unpack(ARGV[4])
local meta = read_meta(keys.meta)

local refused, has_finished, has_delayed, limiter = {}, false, false, nil
if #outcomes > 0 then
    refused, has_finished, has_delayed, limiter = settle(prefix, keys, outcomes, meta, now, tonumber(ARGV[5]), 5, wanted[7])
end

local jobs, next_due, rate_ttl = {}, 0, 0
if wanted[1] > 0 and not (wanted[8] and #refused > 0) then
    local request = { count = wanted[1], token = wanted[2], lock_ms = wanted[3], worker = wanted[4],
        limits = { max = wanted[5], duration = wanted[6] } }
    if #outcomes == 0 then limiter = redis.call("GET", keys.limiter) end
    jobs, next_due, rate_ttl = claim(prefix, keys, meta, request, limiter, now)
elseif meta.concurrency and #outcomes > 0 and not is_paused_or_maxed(meta, keys.active)
    and redis.call("EXISTS", keys.wait, keys.prioritized) > 0 then
    -- A slot of the queue is free, and this worker does not take it.
    wake_now(keys.marker)
end
-- Only now: claiming promotes what is due, and this may leave another job the earliest.
if has_delayed then wake_when_due(keys.marker, keys.delayed) end

if has_finished and #jobs == 0 and next_due == 0 and rate_ttl == 0 and not (wanted[1] > 0 and meta.paused)
    and redis.call("LLEN", keys.active) == 0 and redis.call("LLEN", keys.wait) == 0
    and redis.call("ZCARD", keys.prioritized) == 0 then
    redis.call("XADD", keys.events, "*", "event", "drained")
end
return { refused, jobs, string.format("%.3f", next_due), rate_ttl }
