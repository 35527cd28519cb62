// The application's web server, without the web: welcomes users, builds a weekly digest, reminds every second.
// Prints what came of each as one JSON line, and ends. Usage: node producer.mjs <name of the run> <number of users>

import { FlowProducer, Queue, QueueEvents } from 'bullmq';
import { connection, queueName } from './queue.mjs';

const [run = 'first', users = '10'] = process.argv.slice(2);
const mail = new Queue(queueName, { connection });
const events = new QueueEvents(queueName, { connection });
const flows = new FlowProducer({ connection });
await events.waitUntilReady();

const welcomes = await mail.addBulk(
  Array.from({ length: Number(users) }, (_, user) => ({
    name: 'welcome',
    data: { to: `user${user}@example.org`, run },
    opts: { jobId: `welcome-${run}-${user}`, attempts: 3, backoff: { type: 'exponential', delay: 50 } },
  })),
);
for (const job of welcomes) {
  console.log(JSON.stringify({ id: job.id, result: await job.waitUntilFinished(events, 30_000) }));
}

const digest = await flows.add({
  name: 'digest',
  queueName,
  data: { run },
  children: ['news', 'offers', 'jobs'].map((topic) => ({ name: 'section', queueName, data: { topic } })),
});
console.log(JSON.stringify({ digest: await digest.job.waitUntilFinished(events, 30_000) }));

await mail.upsertJobScheduler('reminder', { every: 1000 }, { name: 'remind', data: { run } });
const reminded = await new Promise((resolve) => {
  events.on('completed', ({ jobId, returnvalue }) => jobId.startsWith('repeat:reminder:') && resolve(returnvalue));
});
await mail.removeJobScheduler('reminder');
console.log(JSON.stringify({ reminded }));

await Promise.all([mail.close(), events.close(), flows.close()]);
