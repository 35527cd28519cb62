// Adds jobs with BullMQ as any Node application would: reads one {queue, name, data, opts} a line, adds them in chunks
// of at most 500 per queue with addBulk, and prints {queue, added, ids} for each chunk.
// Environment: BULLMQ (6 or 5), REDIS_URL, PREFIX.

import { bullmq, connection, prefix } from './connection.mjs';
import { input, print } from './lines.mjs';

// Enough to make round trips cheap, few enough for Redis to answer others in between.
const CHUNK = 500;

const queues = new Map();
const waiting = new Map();

async function flush(name) {
  const jobs = waiting.get(name) ?? [];
  waiting.delete(name);
  if (jobs.length === 0) return;
  if (!queues.has(name)) queues.set(name, new bullmq.Queue(name, { prefix, connection: connection() }));
  const added = await queues.get(name).addBulk(jobs);
  print({ queue: name, added: added.length, ids: added.map((job) => job.id) });
}

for await (const { queue, name, data, opts } of input()) {
  if (!waiting.has(queue)) waiting.set(queue, []);
  const jobs = waiting.get(queue);
  jobs.push({ name, data: data ?? {}, opts });
  if (jobs.length === CHUNK) await flush(queue);
}
for (const name of [...waiting.keys()]) await flush(name);
await Promise.all([...queues.values()].map((queue) => queue.close()));
