// What a peer's worker does with a job. The worker names one of these; a job whose data has `do` chooses for itself.

import { setTimeout as sleep } from 'node:timers/promises';
import { bullmq, connection, prefix } from './connection.mjs';

/** The test's word on jobs that `hold` keeps, by job id. Whichever of the two comes first leaves it for the other. */
const words = new Map();

function wordOn(jobId) {
  if (!words.has(jobId)) words.set(jobId, deferred());
  return words.get(jobId);
}

const processors = {
  echo: async (job) => job.data,

  sleep: async (job) => {
    await sleep(job.data.ms ?? 50);
    return job.data;
  },

  fail: async (job) => {
    throw new Error(job.data.message ?? 'told to fail');
  },

  unrecoverable: async (job) => {
    throw new bullmq.UnrecoverableError(job.data.message ?? 'told to fail for good');
  },

  // Fails `failures` attempts (1 unless the data says), then completes.
  flaky: async (job) => {
    if (job.attemptsMade < (job.data.failures ?? 1)) throw new Error(`attempt ${job.attemptsMade + 1} fails`);
    return { attemptsMade: job.attemptsMade };
  },

  // Stays active until the test sends `release` for it.
  hold: async (job) => {
    try {
      return await wordOn(job.id).promise;
    } finally {
      words.delete(job.id);
    }
  },

  // Reports progress and writes log rows on the way.
  chatty: async (job) => {
    for (const row of job.data.rows ?? ['first', 'second']) await job.log(row);
    await job.updateProgress(job.data.progress ?? 100);
    return job.data;
  },

  // Returns what the children returned, by their keys.
  gather: async (job) => job.getChildrenValues(),

  // Goes back to delayed once, for `ms`.
  postpone: async (job, token) => {
    if (job.data.postponed) return job.data;
    await job.updateData({ ...job.data, postponed: true });
    await job.moveToDelayed(Date.now() + (job.data.ms ?? 50), token);
    throw new bullmq.DelayedError();
  },

  // Adds a child to the queue `childQueue` and waits for it; then returns what it returned.
  await_child: async (job, token) => {
    if (job.attemptsStarted === 1) {
      const parent = { id: job.id, queue: job.queueQualifiedName };
      await beside(job.data.childQueue, (queue) => queue.add('child', { of: job.id }, { parent }));
    }
    if (await job.moveToWaitingChildren(token)) throw new bullmq.WaitingChildrenError();
    return job.getChildrenValues();
  },

  // Lets its queue rest once, for `ms`, and comes back after that.
  rate_limited: async (job) => {
    if (job.attemptsStarted > 1) return job.data;
    await beside(job.queueName, (queue) => queue.rateLimit(job.data.ms ?? 50));
    throw bullmq.Worker.RateLimitError();
  },
};

/** Does something with a queue that a processor has no handle of. */
async function beside(name, act) {
  const queue = new bullmq.Queue(name, { prefix, connection: connection() });
  try {
    await act(queue);
  } finally {
    await queue.close();
  }
}

/** The function for a Worker. */
export function processor(name) {
  if (!processors[name]) throw new Error(`no processor ${name}: use one of ${Object.keys(processors).join(', ')}`);
  return (job, token) => (processors[job.data?.do] ?? processors[name])(job, token);
}

/** Ends a job that `hold` keeps active, or will keep. */
export function release({ jobId, result, error }) {
  const word = wordOn(jobId);
  if (error) word.reject(new Error(error));
  else word.resolve(result ?? null);
}

function deferred() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  // A refusal that comes before its job is not an unhandled one.
  parts.promise.catch(() => {});
  return parts;
}
