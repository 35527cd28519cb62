// Every operation of docs/conformance.md, done with BullMQ.

import { bullmq } from '../connection.mjs';
import * as stage from './stage.mjs';
import { claimed, scheduler, some, tree, whole } from './views.mjs';

const { UnrecoverableError } = bullmq;
const { queue } = stage;

export const operations = {
  add: async ({ queue: name, name: job, data, opts }) => (await queue(name).add(job, data ?? {}, opts)).id,
  addBulk: async ({ queue: name, jobs }) => {
    const added = await queue(name).addBulk(jobs.map((job) => ({ name: job.name, data: job.data ?? {}, opts: job.opts })));
    return added.map((job) => job.id);
  },
  addFlow: async ({ flow }) => tree(await stage.flowProducer().add(flow)),
  addFlows: async ({ flows }) => (await stage.flowProducer().addBulk(flows)).map((node) => tree(node)),

  worker: (args) => stage.declare(args),
  claim: async ({ worker: name, token, as }) => {
    const worker = stage.worker(name);
    worker.problem = undefined;
    // BullMQ 5 is handed the client; a worker that remembers a limit would wait in real time, so it is asked directly.
    const client = worker.moveToActive.length > 2 ? [await worker.client] : [];
    const job = await worker.moveToActive(...client, token, worker.opts.name);
    return keep(job, worker, token, as);
  },
  complete: async ({ job: name, result, next }) => {
    const { job, token, worker } = stage.holding(name);
    return follow(await job.moveToCompleted(result ?? null, token, Boolean(next)), worker, token, next);
  },
  fail: async ({ job: name, message, stack = [], unrecoverable, next }) => {
    const { job, token, worker } = stage.holding(name);
    const error = unrecoverable ? new UnrecoverableError(message) : new Error(message);
    error.stack = [message, ...stack].join('\n');
    const answer = await job.moveToFailed(error, token, Boolean(next));
    // A job that is tried again at once brings no next one along: a worker then claims, as ours does in the same step.
    const claims = next && !Array.isArray(answer) && !job.finishedOn && !(await job.isDelayed());
    return claims ? operations.claim({ worker: worker.handle, token, as: next.as }) : follow(answer, worker, token, next);
  },
  moveToDelayed: async ({ job: name, delay }) => {
    const { job, token } = stage.holding(name);
    await job.moveToDelayed(Date.now() + delay, token);
  },
  moveToWait: async ({ job: name }) => {
    const { job, token } = stage.holding(name);
    await job.moveToWait(token);
  },
  moveToWaitingChildren: ({ job: name }) => {
    const { job, token } = stage.holding(name);
    return job.moveToWaitingChildren(token);
  },
  extendLock: async ({ job: name, duration }) => {
    const { job, token } = stage.holding(name);
    return (await job.extendLock(token, duration)) === 1;
  },
  stalledCheck: async ({ worker: name }) => {
    const worker = stage.worker(name);
    worker.stalled = [];
    await worker.moveStalledJobsToWait();
    return worker.stalled.sort();
  },

  updateProgress: ({ queue: name, id, progress }) => nothing(queue(name).updateJobProgress(id, progress)),
  updateData: (args) => nothing(stage.jobById(args).updateData(args.data)),
  log: ({ queue: name, id, line, keepLogs }) => queue(name).addJobLog(id, line, keepLogs),
  clearLogs: (args) => nothing(stage.jobById(args).clearLogs(args.keep)),
  getLogs: async ({ queue: name, id, start = 0, end }) => {
    const { logs, count } = await queue(name).getJobLogs(id, start, end);
    return { logs, count };
  },

  upsertScheduler: async ({ queue: name, scheduler: id, repeat, template }) =>
    (await queue(name).upsertJobScheduler(id, repeat, template))?.id ?? null,
  removeScheduler: ({ queue: name, scheduler: id }) => queue(name).removeJobScheduler(id),
  getScheduler: async ({ queue: name, scheduler: id }) => scheduler(await queue(name).getJobScheduler(id)),
  getSchedulers: async ({ queue: name, start = 0, end, asc = false }) =>
    (await queue(name).getJobSchedulers(start, end, asc)).map(scheduler),
  getSchedulersCount: ({ queue: name }) => queue(name).getJobSchedulersCount(),

  pause: ({ queue: name }) => nothing(queue(name).pause()),
  resume: ({ queue: name }) => nothing(queue(name).resume()),
  isPaused: ({ queue: name }) => queue(name).isPaused(),
  setGlobalConcurrency: ({ queue: name, concurrency }) => nothing(queue(name).setGlobalConcurrency(concurrency)),
  removeGlobalConcurrency: ({ queue: name }) => nothing(queue(name).removeGlobalConcurrency()),
  getGlobalConcurrency: ({ queue: name }) => queue(name).getGlobalConcurrency(),
  isMaxed: ({ queue: name }) => queue(name).isMaxed(),
  setGlobalRateLimit: ({ queue: name, max, duration }) => nothing(queue(name).setGlobalRateLimit(max, duration)),
  removeGlobalRateLimit: ({ queue: name }) => nothing(queue(name).removeGlobalRateLimit()),
  getGlobalRateLimit: ({ queue: name }) => queue(name).getGlobalRateLimit(),
  rateLimit: ({ queue: name, ms }) => nothing(queue(name).rateLimit(ms)),
  removeRateLimitKey: ({ queue: name }) => nothing(queue(name).removeRateLimitKey()),
  getRateLimitTtl: async ({ queue: name, maxJobs }) => some(await queue(name).getRateLimitTtl(maxJobs)),

  drain: ({ queue: name, delayed }) => nothing(queue(name).drain(delayed)),
  clean: async ({ queue: name, grace, limit, state }) => (await queue(name).clean(grace, limit, state)).sort(),
  obliterate: ({ queue: name, force }) => nothing(queue(name).obliterate({ force })),
  removeOrphans: ({ queue: name }) => queue(name).removeOrphanedJobs(),
  retryJobs: ({ queue: name, state, timestamp }) => nothing(queue(name).retryJobs({ state, timestamp })),
  retryJob: async ({ resetAttemptsMade, resetAttemptsStarted, state, ...args }) =>
    nothing((await stage.job(args)).retry(state, { resetAttemptsMade, resetAttemptsStarted })),
  promoteJobs: ({ queue: name }) => nothing(queue(name).promoteJobs()),
  promote: async (args) => nothing((await stage.job(args)).promote()),
  changeDelay: (args) => nothing(stage.jobById(args).changeDelay(args.delay)),
  changePriority: (args) => nothing(stage.jobById(args).changePriority({ priority: args.priority, lifo: args.lifo })),
  remove: async ({ queue: name, id, keepChildren }) =>
    (await queue(name).remove(id, { removeChildren: !keepChildren })) === 1,
  removeUnprocessedChildren: (args) => nothing(stage.jobById(args).removeUnprocessedChildren()),
  removeChildDependency: async (args) => (await stage.job(args)).removeChildDependency(),
  removeDeduplicationKey: async ({ queue: name, deduplication }) =>
    (await queue(name).removeDeduplicationKey(deduplication)) === 1,
  getDeduplicationJobId: ({ queue: name, deduplication }) => queue(name).getDeduplicationJobId(deduplication),
  trimEvents: ({ queue: name, max }) => nothing(queue(name).trimEvents(max)),
  publishEvent: ({ queue: name, event, fields, maxEvents }) =>
    nothing(stage.publisher(name).publishEvent({ eventName: event, ...fields }, maxEvents)),

  getJob: async ({ queue: name, id }) => {
    const found = await queue(name).getJob(id);
    return found ? whole(found) : null;
  },
  getState: ({ queue: name, id }) => queue(name).getJobState(id),
  getJobs: async ({ queue: name, types, start = 0, end, asc = false }) =>
    (await queue(name).getJobs(types, start, end, asc)).map((job) => job.id),
  getCounts: async ({ queue: name }) => {
    const states = ['active', 'completed', 'delayed', 'failed', 'prioritized', 'waiting', 'waiting-children'];
    // BullMQ 5 counts the waiting jobs of a paused queue apart.
    const { paused = 0, ...counts } = await queue(name).getJobCounts(...states);
    return { ...counts, waiting: counts.waiting + paused };
  },
  getCountsPerPriority: ({ queue: name, priorities }) => queue(name).getCountsPerPriority(priorities),
  getDependencies: async (args) => {
    const { processed, unprocessed, failed, ignored } = await stage.jobById(args).getDependencies();
    return {
      processed: processed ?? {},
      unprocessed: [...(unprocessed ?? [])].sort(),
      failed: [...(failed ?? [])].sort(),
      ignored: ignored ?? {},
    };
  },
  getDependenciesCount: async (args) => {
    const all = { processed: true, unprocessed: true, failed: true, ignored: true };
    return stage.jobById(args).getDependenciesCount(all);
  },
  getChildrenValues: (args) => stage.jobById(args).getChildrenValues(),
  getIgnoredFailures: (args) => stage.jobById(args).getIgnoredChildrenFailures(),
  getFlow: async ({ queue: queueName, id, depth, maxChildren }) =>
    tree(await stage.flowProducer().getFlow(given({ queueName, id, depth, maxChildren })), true),
  getMetrics: async ({ queue: name, kind, start = 0, end }) => {
    const { meta, data, count } = await queue(name).getMetrics(kind, start, end);
    return { meta, data: data.map(Number), count };
  },
  getMeta: async ({ queue: name }) => {
    const { paused = false, concurrency = null, max = null, duration = null, maxLenEvents = null } =
      await queue(name).getMeta();
    return { paused, concurrency, max, duration, maxLenEvents };
  },
};

async function nothing(promise) {
  await promise;
}

function given(args) {
  return Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined));
}

/** Keeps a job that was claimed and tells of it; a claim that could not schedule what follows is an error. */
function keep(job, worker, token, name) {
  if (worker.problem) throw worker.problem;
  if (!job) return null;
  stage.hold(name, job, worker, token);
  return { ...claimed(job), mustFail: worker.getUnrecoverableErrorMessage(job) ?? null };
}

/** What an outcome brings along: [job, id, ...] when another job was claimed in the same step. */
async function follow(answer, worker, token, next) {
  if (!next || !Array.isArray(answer) || !answer[0]) return null;
  worker.problem = undefined;
  return keep(await worker.nextJobFromJobData(answer[0], answer[1], token), worker, token, next.as);
}
