"""What the jobs of this pack read and say: one job on standard input, messages on standard output."""

import json
import sys


def job():
    return json.loads(sys.stdin.readline())


def say(operator, **fields):
    print(json.dumps({"operator": operator, **fields}), flush=True)


def fail(message, code=None, retryable=True):
    """Ends the job; no attempt follows when it is not retryable."""
    fields = {"code": code} if code else {}
    say("failure", message=message, retryable=retryable, **fields)
    sys.exit(0)
