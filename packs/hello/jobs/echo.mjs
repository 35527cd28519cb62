// Returns the data of each job. One process runs many jobs, one line each; it ends when its input does.
import { createInterface } from "node:readline";

createInterface({ input: process.stdin }).on("line", (line) => {
  const job = JSON.parse(line);
  process.stdout.write(`${JSON.stringify({ operator: "result", job: job.id, result: job.data })}\n`);
});
