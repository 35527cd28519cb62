"""The services that are looked after, from INFRA_SERVICES: {"<service>": {"<environment>": ["http://…/health", …]}}."""

import json
import os
import time
import urllib.error
import urllib.request

from protocol import fail

# What a machine that runs Operator alone has.
USUAL = {"operator": {"local": ["http://127.0.0.1:8080/health", "http://127.0.0.1:9090/health"]}}


def services():
    text = os.environ.get("INFRA_SERVICES")
    try:
        return json.loads(text) if text else USUAL
    except ValueError as error:
        fail(f"INFRA_SERVICES is not JSON ({error}): set it in the worker's environment", "not_configured", False)


def check(url):
    """Asks one address; it is well when it answers 2xx within ten seconds."""
    started = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = {"ok": True, "status": answer.status}
    except urllib.error.HTTPError as error:
        found = {"ok": False, "status": error.code}
    except (OSError, ValueError) as error:
        found = {"ok": False, "error": str(error)}
    return {"url": url, **found, "ms": round((time.monotonic() - started) * 1000)}
