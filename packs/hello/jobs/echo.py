"""Returns the data of each job. One process runs many jobs, one line each; it ends when its input does."""
import json
import sys

for line in sys.stdin:
    job = json.loads(line)
    print(json.dumps({"operator": "result", "job": job["id"], "result": job["data"]}), flush=True)
