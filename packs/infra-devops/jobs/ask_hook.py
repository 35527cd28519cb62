"""Jobs that change what is deployed: they are done by whoever answers at INFRA_HOOK_URL, and fail where nobody does.

The hook is sent {"job", "id", "attempt", "data"}. What it answers with 2xx is the result; 404 and 422 end the job.
"""

import json
import os
import urllib.error
import urllib.request

from protocol import fail, job, say

doing = job()
url = os.environ.get("INFRA_HOOK_URL")
if not url:
    fail(
        f"{doing['name']} needs a deployment target: set INFRA_HOOK_URL in the worker's environment to the address that"
        " deploys, and permit its port in pack.yaml",
        "not_configured",
        False,
    )
body = json.dumps({"job": doing["name"], "id": doing["id"], "attempt": doing["attempt"], "data": doing["data"]})
headers = {"content-type": "application/json", "idempotency-key": f"{doing['queue']}:{doing['id']}"}
try:
    request = urllib.request.Request(url, body.encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read(1 << 20)
except urllib.error.HTTPError as error:
    code = {404: "artifact_not_found", 422: "validation_error"}.get(error.code, "hook_failed")
    fail(f"the hook answered {error.code}", code, error.code not in (404, 422))
except (OSError, ValueError) as error:
    fail(f"the hook cannot be asked: {error}", "hook_failed")
try:
    result = json.loads(text) if text.strip() else {}
except ValueError:
    fail("the hook did not answer with JSON", "hook_failed", False)
say("result", result=result if isinstance(result, dict) else {"answer": result})
