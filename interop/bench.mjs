// BullMQ in Node as a peer of the bench: requests on stdin, answers on stdout, as in bench/peers/protocol.

import { bullmq, connection, prefix } from './connection.mjs';
import { input, print } from './lines.mjs';

const queues = new Map();
let flows;
let worker;
let notes = { ran: 0, waitsUs: [] };

const operations = {
  add: async ({ queue, count, flight, bulk, payload, dueAtMs = 0, spreadMs = 0, priorities = 0, children = 0 }) => {
    const data = { payload: 'x'.repeat(payload) };
    const optionsOf = (position) => ({
      ...(dueAtMs > 0 && { delay: Math.max(1, dueAtMs + Math.floor((position * spreadMs) / count) - Date.now()) }),
      ...(priorities > 0 && { priority: 1 + (position % priorities) }),
    });
    if (bulk > 0) {
      for (let first = 0; first < count; first += bulk) {
        const positions = Array.from({ length: Math.min(bulk, count - first) }, (_, index) => first + index);
        if (children > 0) await addFlows(queue, positions.length, children, data);
        else await open(queue).addBulk(positions.map((at) => ({ name: 'echo', data, opts: optionsOf(at) })));
      }
      return;
    }
    let left = count;
    const adder = async () => {
      while (left-- > 0) await open(queue).add('echo', data);
    };
    await Promise.all(Array.from({ length: flight }, adder));
  },

  addSteadily: async ({ queue, count, rate }) => {
    const adds = new Set();
    const start = performance.now();
    for (let begun = 0; begun < count; ) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      const due = Math.min(count, Math.floor(((performance.now() - start) / 1000) * rate));
      for (; begun < due; begun++) {
        const add = open(queue).add('echo', { at_us: nowUs(), payload: '' });
        adds.add(add);
        void add.finally(() => adds.delete(add));
      }
    }
    await Promise.all(adds);
  },

  startWorker: async ({ queue, concurrency }) => {
    const echo = async ({ data }) => {
      notes.ran++;
      if (data.at_us) notes.waitsUs.push(Math.max(0, nowUs() - data.at_us));
      return null;
    };
    worker = new bullmq.Worker(queue, echo, { prefix, connection: connection(), concurrency });
    await worker.waitUntilReady();
  },

  listen: async ({ queue }) => {
    const events = new bullmq.QueueEvents(queue, { prefix, connection: connection() });
    events.on('completed', () => {});
    await events.waitUntilReady();
  },

  notes: async () => {
    const noted = notes;
    notes = { ran: 0, waitsUs: [] };
    return noted;
  },

  stopWorker: async () => {
    await worker?.close();
    worker = undefined;
    return operations.notes();
  },
};

function open(name) {
  if (!queues.has(name)) queues.set(name, new bullmq.Queue(name, { prefix, connection: connection() }));
  return queues.get(name);
}

async function addFlows(queueName, count, children, data) {
  flows ??= new bullmq.FlowProducer({ prefix, connection: connection() });
  const job = { name: 'echo', queueName, data };
  const flow = { ...job, children: Array.from({ length: children }, () => job) };
  await flows.addBulk(Array.from({ length: count }, () => flow));
}

function nowUs() {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}

print({ ready: true });
for await (const { op, ...request } of input()) {
  try {
    print((await operations[op](request)) ?? {});
  } catch (error) {
    print({ error: String(error?.message ?? error) });
  }
}
process.exit(0);
