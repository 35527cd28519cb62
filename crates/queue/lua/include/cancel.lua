-- include/cancel.lua: the mark of a job that is to be cancelled, or was.
-- Uses: nothing. Bounds: none needed.
--
-- The mark is a field of the job's hash, `operator:cancel`, with the reason as it will stand in `failedReason`. While the job
-- has not ended, `defa` says the same: that is what keeps every worker, also BullMQ's, from running it again. BullMQ
-- takes `defa` away when the job has failed, so that a job put back in line by BullMQ is not taken for cancelled.
local function is_to_be_cancelled(deferred, mark)
    return deferred and mark
end
