"""infra.test_job: waits for a while and tells how far it is, then ends well or not."""

import time

from protocol import fail, job, say

data = job()["data"]
seconds = data.get("sleep_seconds", 0)
started = time.monotonic()
while (elapsed := time.monotonic() - started) < seconds:
    say("progress", progress=round(100 * elapsed / seconds))
    time.sleep(min(1, seconds - elapsed))
if data.get("should_fail", False):
    fail("the job was asked to fail", code="asked_to_fail")
say("result", result={"slept_seconds": seconds})
