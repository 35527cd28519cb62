// The queues, workers and held jobs of one sequence, made when an operation first names them.

import { bullmq, connection, prefix } from '../connection.mjs';

const queues = new Map();
const workers = new Map();
const held = new Map();
const publishers = new Map();
let flows;

/** A queue. The runner writes its `meta`, so that both subjects find the same. */
export function queue(name) {
  if (!queues.has(name)) {
    const made = new bullmq.Queue(name, { prefix, connection: connection(), skipMetasUpdate: true });
    made.on('error', () => {});
    queues.set(name, made);
  }
  return queues.get(name);
}

/** Makes a worker that claims nothing by itself. */
export async function declare({ worker, queue: name, options = {} }) {
  const made = new bullmq.Worker(name, null, {
    prefix, connection: connection(), autorun: false, skipStalledCheck: true, skipLockRenewal: true, ...options,
  });
  // Errors of a claim's scheduling are not thrown but emitted.
  made.on('error', (error) => { made.problem = error; });
  made.on('stalled', (id) => (made.stalled ??= []).push(id));
  made.handle = worker;
  await made.waitUntilReady();
  workers.set(worker, made);
}

export function worker(name) {
  return found(workers, name, 'worker');
}

/** Keeps a claimed job under the name that later operations use. */
export function hold(name, job, claimer, token) {
  held.set(name, { job, worker: claimer, token });
}

/** Keeps a job that somebody else claimed for a worker of ours. */
export async function adopt({ worker: name, job: id, token, as }) {
  const claimer = worker(name);
  const job = await bullmq.Job.fromId(claimer, id);
  if (job) hold(as, job, claimer, token);
}

export function holding(name) {
  return found(held, name, 'held job');
}

/** A job as a program that does not hold it sees it. */
export async function job({ queue: name, id }) {
  const known = await queue(name).getJob(id);
  if (!known) throw Object.assign(new Error(`no job ${id} in ${name}`), { code: -1 });
  return known;
}

/** A job of which only the id is known: its methods ask Redis themselves whether there is one. */
export function jobById({ queue: name, id }) {
  return new bullmq.Job(queue(name), '', {}, {}, id);
}

export function flowProducer() {
  flows ??= new bullmq.FlowProducer({ prefix, connection: connection() });
  return flows;
}

export function publisher(name) {
  if (!publishers.has(name)) publishers.set(name, new bullmq.QueueEventsProducer(name, { prefix, connection: connection() }));
  return publishers.get(name);
}

/** Forgets everything. */
export async function clear() {
  const parts = [...workers.values(), ...queues.values(), ...publishers.values(), ...(flows ? [flows] : [])];
  flows = undefined;
  for (const map of [queues, workers, held, publishers]) map.clear();
  await Promise.allSettled(parts.map((part) => part.close(true)));
}

function found(map, name, what) {
  if (!map.has(name)) throw new Error(`no ${what} ${name}`);
  return map.get(name);
}
