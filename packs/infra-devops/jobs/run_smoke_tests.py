"""infra.run_smoke_tests: asks every address of a service whether it is well, and fails when one is not."""

from protocol import fail, job, say
from services import check, services

data = job()["data"]
service, environment = data["service_id"], data["environment"]
urls = services().get(service, {}).get(environment)
if not urls:
    fail(f"no address of {service} in {environment} is known: name it in INFRA_SERVICES", "not_configured", False)
suite = data.get("test_suite")
chosen = [url for url in urls if suite is None or suite in url]
if not chosen:
    fail(f"no address of {service} in {environment} has {suite} in it", "validation_error", False)
checks = []
for url in chosen:
    checks.append(check(url))
    say("log", line=f"{url}: {'well' if checks[-1]['ok'] else 'not well'} after {checks[-1]['ms']} ms")
    say("progress", progress=round(100 * len(checks) / len(chosen)))
failed = [each["url"] for each in checks if not each["ok"]]
if failed:
    fail(f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}", "smoke_tests_failed")
say("result", result={"service_id": service, "environment": environment, "passed": len(checks), "checks": checks})
