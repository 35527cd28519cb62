// A BullMQ client for tests to talk to in JSON lines.
// In: {"id", "op", ...}. Out: {"id", "result"} or {"id", "error": {name, message, code}}, and {"event", ...} at any time.
// Environment: BULLMQ (6 or 5), REDIS_URL, PREFIX. README.md lists the operations.

import { bullmq, connection, prefix, version } from './connection.mjs';
import { described, input, print } from './lines.mjs';
import { processor, release } from './processors.mjs';

const queues = new Map();
const workers = new Map();
const listeners = new Map();
let flows;

const operations = {
  add: ({ queue, name, data, opts }) => open(queue).add(name, data ?? {}, opts),
  addBulk: ({ queue, jobs }) => open(queue).addBulk(jobs),
  addFlow: ({ flow, opts }) => flowProducer().add(flow, opts),
  upsertScheduler: ({ queue, schedulerId, repeat, template }) =>
    open(queue).upsertJobScheduler(schedulerId, repeat, template),

  getJob: async ({ queue, jobId }) => (await open(queue).getJob(jobId)) ?? null,
  getJobs: ({ queue, types, start, end, asc }) => open(queue).getJobs(types, start, end, asc),
  getJobState: ({ queue, jobId }) => open(queue).getJobState(jobId),
  getJobCounts: ({ queue, types }) => open(queue).getJobCounts(...(types ?? [])),
  getJobLogs: ({ queue, jobId, start, end, asc }) => open(queue).getJobLogs(jobId, start, end, asc),
  getWorkers: ({ queue }) => open(queue).getWorkers(),
  getMeta: ({ queue }) => open(queue).getMeta(),

  pause: ({ queue }) => open(queue).pause(),
  resume: ({ queue }) => open(queue).resume(),
  retryJob: async ({ queue, jobId, state }) => (await existing(queue, jobId)).retry(state),
  promote: async ({ queue, jobId }) => (await existing(queue, jobId)).promote(),
  remove: ({ queue, jobId }) => open(queue).remove(jobId),

  // Any other method of a queue, job, worker, listener or the flow producer.
  call: async ({ target = 'queue', queue, jobId, worker, method, args = [] }) => {
    const object = await targetOf({ target, queue, jobId, worker });
    if (typeof object[method] !== 'function') throw new TypeError(`a ${target} has no method ${method}`);
    return object[method](...args);
  },

  startWorker: async ({ queue, processor: name = 'echo', worker = queue, ...opts }) => {
    const started = new (reporting(bullmq.Worker, { event: 'worker', worker, queue }))(
      queue,
      processor(name),
      { prefix, connection: connection(), ...opts },
    );
    workers.set(worker, started);
    await started.waitUntilReady();
  },
  stopWorker: async ({ worker, force }) => {
    await running(worker).close(force);
    workers.delete(worker);
  },
  release,

  startQueueEvents: async ({ queue, ...opts }) => {
    await listen(queue, opts).waitUntilReady();
  },
  publishEvent: async ({ queue, event, maxEvents }) => {
    const producer = new bullmq.QueueEventsProducer(queue, { prefix, connection: connection() });
    await producer.publishEvent(event, maxEvents);
    await producer.close();
  },
  stopQueueEvents: async ({ queue }) => {
    await listen(queue).close();
    listeners.delete(queue);
  },
  waitUntilFinished: async ({ queue, jobId, ttl }) => {
    const events = listen(queue);
    await events.waitUntilReady();
    return (await existing(queue, jobId)).waitUntilFinished(events, ttl);
  },
};

/** A BullMQ class whose every event is printed too. */
function reporting(Base, heading) {
  return class extends Base {
    emit(type, ...args) {
      // QueueEvents repeats an event under a name of its own for each job.
      if (!type.endsWith(`:${args[0]?.jobId}`)) print({ ...heading, type, args });
      super.emit(type, ...args);
      // True even without a listener: an `error` nobody listens to would otherwise end the process.
      return true;
    }
  };
}

function open(name) {
  if (!queues.has(name)) {
    const queue = new bullmq.Queue(name, { prefix, connection: connection() });
    queue.on('error', (error) => print({ event: 'queue', queue: name, type: 'error', args: [error] }));
    queues.set(name, queue);
  }
  return queues.get(name);
}

function listen(name, opts = {}) {
  if (!listeners.has(name)) {
    const Listener = reporting(bullmq.QueueEvents, { event: 'queueEvents', queue: name });
    // From the beginning, so that no event is missed between the request and the first read.
    listeners.set(name, new Listener(name, { prefix, connection: connection(), lastEventId: '0', ...opts }));
  }
  return listeners.get(name);
}

function flowProducer() {
  flows ??= new bullmq.FlowProducer({ prefix, connection: connection() });
  return flows;
}

function running(worker) {
  const found = workers.get(worker);
  if (!found) throw new Error(`no worker ${worker} was started here`);
  return found;
}

async function existing(queue, jobId) {
  const job = await open(queue).getJob(jobId);
  if (!job) throw new Error(`no job ${jobId} in ${queue}`);
  return job;
}

function targetOf({ target, queue, jobId, worker }) {
  switch (target) {
    case 'queue': return open(queue);
    case 'job': return existing(queue, jobId);
    case 'worker': return running(worker);
    case 'queueEvents': return listen(queue);
    case 'flow': return flowProducer();
    default: throw new Error(`no target ${target}: use queue, job, worker, queueEvents or flow`);
  }
}

async function answer({ id, op, ...args }) {
  try {
    if (!operations[op]) throw new Error(`no operation ${op}: use one of ${Object.keys(operations).join(', ')}`);
    print({ id, result: (await operations[op](args)) ?? null });
  } catch (error) {
    print({ id, error: described(error) });
  }
}

print({ event: 'ready', version });
for await (const request of input()) void answer(request);
await Promise.allSettled([...workers.values(), ...listeners.values(), ...queues.values()].map((part) => part.close()));
await flows?.close();
process.exit(0);
