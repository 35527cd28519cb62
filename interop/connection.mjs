// Which BullMQ a script uses and how it reaches Redis, from the environment: BULLMQ (6 or 5), REDIS_URL, PREFIX.

import { createRequire } from 'node:module';

const PACKAGES = { 5: 'bullmq5', 6: 'bullmq' };
const chosen = PACKAGES[process.env.BULLMQ ?? '6'];
if (!chosen) throw new Error(`BULLMQ must be 6 or 5, not ${process.env.BULLMQ}`);

/** The chosen release's exports. */
export const bullmq = await import(chosen);

/** Its exact version. */
export const version = createRequire(import.meta.url)(`${chosen}/package.json`).version;

/** The key prefix of all queues. */
export const prefix = process.env.PREFIX ?? 'bull';

/** Options for the connection of a Queue, Worker, FlowProducer or QueueEvents. */
export function connection() {
  const url = new URL(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379');
  return {
    host: url.hostname,
    port: Number(url.port || 6379),
    username: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
    db: Number(url.pathname.slice(1) || 0),
    tls: url.protocol === 'rediss:' ? {} : undefined,
    maxRetriesPerRequest: null,
  };
}
