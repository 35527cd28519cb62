// Greets somebody: one job, read from standard input, answered on standard output.
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

const say = (operator, fields) => console.log(JSON.stringify({ operator, ...fields }));

const job = JSON.parse(readFileSync(0, "utf8"));
const { name } = job.data;
if (name === "nobody") {
  say("failure", { message: "there is nobody to greet", code: "nobody", retryable: false });
} else {
  console.log(`attempt ${job.attempt} of ${job.maxAttempts}`); // any other line becomes a line of the job's log
  for (const progress of [0, 50, 100]) {
    say("progress", { progress });
    await setTimeout(50);
  }
  say("result", { result: { greeting: `Hello, ${name}!` } });
}
