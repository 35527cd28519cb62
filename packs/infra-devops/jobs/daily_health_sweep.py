"""infra.daily_health_sweep: how this machine is (disk, memory, load), and whether every service is well."""

import os
import shutil

from protocol import job, say
from services import check, services

# Beyond these shares a machine should be looked at.
MAX_DISK, MAX_MEMORY = 0.9, 0.95


def memory():
    with open("/proc/meminfo") as lines:
        kib = {name: int(rest.split()[0]) for name, rest in (line.split(":") for line in lines)}
    return 1 - kib["MemAvailable"] / kib["MemTotal"]


data = job()["data"]
disk = shutil.disk_usage(".")
machine = {"disk_used": round(disk.used / disk.total, 3), "memory_used": round(memory(), 3)}
machine["load_per_processor"] = round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)
problems = []
if machine["disk_used"] > MAX_DISK:
    problems.append(f"{machine['disk_used']:.0%} of the disk are used")
if machine["memory_used"] > MAX_MEMORY:
    problems.append(f"{machine['memory_used']:.0%} of the memory are used")

wanted = data.get("environment")
checks = []
for service, environments in services().items():
    for environment, urls in environments.items():
        if wanted in (None, environment):
            checks += [{"service_id": service, "environment": environment, **check(url)} for url in urls]
problems += [f"{each['service_id']} in {each['environment']} is not well: {each['url']}" for each in checks if not each["ok"]]
for problem in problems:
    say("log", line=problem)
result = {"status": "degraded" if problems else "ok", "machine": machine, "problems": problems, "checked": len(checks)}
if data.get("detailed", False):
    result["checks"] = checks
say("result", result=result)
