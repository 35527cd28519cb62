// Which BullMQ a script uses and how it reaches Redis, from the environment: BULLMQ (6 or 5), REDIS_URL, PREFIX.

import { createRequire } from 'node:module';

import { Cluster } from 'ioredis';

const PACKAGES = { 5: 'bullmq5', 6: 'bullmq' };
const chosen = PACKAGES[process.env.BULLMQ ?? '6'];
if (!chosen) throw new Error(`BULLMQ must be 6 or 5, not ${process.env.BULLMQ}`);

/** The chosen release's exports. */
export const bullmq = await import(chosen);

/** Its exact version. */
export const version = createRequire(import.meta.url)(`${chosen}/package.json`).version;

/** The key prefix of all queues. */
export const prefix = process.env.PREFIX ?? 'bull';

/** Options for the connection of a Queue, Worker, FlowProducer or QueueEvents; in a cluster, the connection itself. */
export function connection() {
  const url = new URL(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379');
  const options = {
    username: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
    db: Number(url.pathname.slice(1) || 0),
    tls: url.protocol.startsWith('rediss') ? {} : undefined,
    maxRetriesPerRequest: null,
  };
  const nodes = [url.host, ...url.searchParams.getAll('node')].map((node) => {
    const { hostname, port } = new URL(`redis://${node}`);
    return { host: hostname, port: Number(port || 6379) };
  });
  if (url.protocol.endsWith('-cluster:')) return new Cluster(nodes, { redisOptions: options });
  if (url.protocol.endsWith('-sentinel:')) {
    return { sentinels: nodes, name: url.searchParams.get('sentinelServiceName'), ...options };
  }
  return { ...nodes[0], ...options };
}
