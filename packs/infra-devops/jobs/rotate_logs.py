"""infra.rotate_logs: compresses the closed logs of a service (all but the newest *.log), and removes old ones.

They are in a folder of the service's name in INFRA_LOG_DIR, /var/log/operator unless set. Another folder has to stand in
the job type's permissions, too, and whoever runs the job must be allowed to write there.
"""

import gzip
import os
import shutil
import time
from pathlib import Path

from protocol import fail, job, say

data = job()["data"]
folder = Path(os.environ.get("INFRA_LOG_DIR", "/var/log/operator")) / data["service_id"]
oldest = time.time() - data.get("max_age_days", 30) * 86400
compressed = removed = freed = 0
try:
    if not folder.is_dir():
        fail(f"there is no folder {folder}: name the one with the logs in INFRA_LOG_DIR", "not_configured", False)
    for path in sorted(folder.glob("*.log*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_mtime < oldest:
            freed += path.stat().st_size
            path.unlink()
            removed += 1
    logs = sorted((path for path in folder.glob("*.log") if not path.is_symlink()), key=lambda path: path.stat().st_mtime)
    for path in logs[:-1] if data.get("compress", True) else []:
        target, before = path.with_name(path.name + ".gz"), path.stat()
        with open(path, "rb") as source, gzip.open(target, "wb") as packed:
            shutil.copyfileobj(source, packed)
        os.utime(target, (before.st_atime, before.st_mtime))
        path.unlink()
        compressed += 1
        freed += before.st_size - target.stat().st_size
        say("log", line=f"compressed {path.name}")
except PermissionError as error:
    fail(f"not allowed: {error}; see INFRA_LOG_DIR and the permissions in pack.yaml", "not_permitted", False)
say("result", result={"folder": str(folder), "compressed": compressed, "removed": removed, "freed_bytes": freed})
