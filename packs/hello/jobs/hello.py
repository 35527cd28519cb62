"""Greets somebody: one job, read from standard input, answered on standard output."""
import json
import sys
import time


def say(operator, **fields):
    print(json.dumps({"operator": operator, **fields}), flush=True)


job = json.load(sys.stdin)
name = job["data"]["name"]
if name == "nobody":
    say("failure", message="there is nobody to greet", code="nobody", retryable=False)
    sys.exit()

print(f"attempt {job['attempt']} of {job['maxAttempts']}")  # any other line becomes a line of the job's log
for percent in (0, 50, 100):
    say("progress", progress=percent)
    time.sleep(0.05)
say("result", result={"greeting": f"Hello, {name}!"})
