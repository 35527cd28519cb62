// What BullMQ returns, in the form both subjects of a conformance run share. docs/conformance.md describes it.

/** What a claim tells of a job. */
export function claimed(job) {
  return {
    id: job.id,
    name: job.name,
    data: job.data ?? null,
    timestamp: job.timestamp,
    delay: job.delay,
    priority: job.priority,
    attemptsMade: job.attemptsMade,
    attemptsStarted: job.attemptsStarted ?? 0,
    stalledCounter: job.stalledCounter ?? 0,
    processedOn: job.processedOn ?? null,
    deferredFailure: job.deferredFailure ?? null,
    parentKey: job.parentKey ?? null,
    scheduler: job.repeatJobKey ?? null,
    deduplicationId: job.deduplicationId ?? null,
  };
}

/** What a reader is told of a job. */
export function whole(job) {
  return {
    ...claimed(job),
    finishedOn: job.finishedOn ?? null,
    processedBy: job.processedBy ?? null,
    progress: job.progress ?? 0,
    returnvalue: job.returnvalue ?? null,
    failedReason: job.failedReason ?? null,
    stacktrace: job.stacktrace ?? [],
  };
}

/** The ids of a tree that was added or read. Redis keeps children in no order, so that read trees are sorted. */
export function tree(node, isSorted = false) {
  if (!node) return null;
  const children = (node.children ?? []).map((child) => tree(child, isSorted));
  if (isSorted) children.sort((a, b) => (a.id < b.id ? -1 : 1));
  return { queue: node.job.queueName, id: node.job.id, children };
}

export function scheduler(found) {
  if (!found) return null;
  const { key, name, next, iterationCount, every, pattern, offset, tz, limit, startDate, endDate, template } = found;
  return {
    id: key,
    name: name ?? null,
    next: next === undefined || next === null ? null : Number(next),
    iterationCount: iterationCount ?? null,
    every: every === undefined ? null : Number(every),
    pattern: pattern ?? null,
    offset: offset ?? null,
    tz: tz ?? null,
    limit: limit ?? null,
    startDate: startDate ?? null,
    endDate: endDate ?? null,
    data: template?.data ?? null,
    opts: options(template?.opts),
  };
}

/** Options in the one spelling that both share: a number is short for a fixed backoff, and no attempts are the default. */
function options(opts) {
  if (!opts) return null;
  const { attempts, backoff, ...rest } = opts;
  return {
    ...rest,
    ...(attempts ? { attempts } : {}),
    ...(backoff === undefined ? {} : { backoff: typeof backoff === 'number' ? { type: 'fixed', delay: backoff } : backoff }),
  };
}

/** A time to live: how long exactly depends on when one looks. */
export function some(ttl) {
  return ttl > 0 ? 'some' : 0;
}

/** An error as the answer that stands for it. */
export function refusal(error) {
  if (typeof error?.code === 'number') return { refused: error.code };
  // ioredis names what the server answered.
  if (error?.name === 'ReplyError') return { broken: error.message };
  return { invalid: `${error?.name}: ${error?.message}` };
}
