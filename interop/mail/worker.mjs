// The application's worker: sends mail. Ends when it is told to (SIGTERM), after what it is doing.

import { UnrecoverableError, Worker } from 'bullmq';
import { connection, queueName } from './queue.mjs';

const jobs = {
  // The first attempt for every third user fails, as mail servers do.
  welcome: async ({ data, attemptsMade }, job) => {
    const user = Number(/\d+/.exec(data.to)?.[0] ?? NaN);
    if (Number.isNaN(user)) throw new UnrecoverableError(`${data.to} is not an address of ours`);
    if (user % 3 === 0 && attemptsMade === 0) throw new Error('the mail server is busy');
    await job.updateProgress(100);
    await job.log(`sent to ${data.to}`);
    return { sentTo: data.to };
  },
  section: async ({ data }) => `everything about ${data.topic}`,
  digest: async (_, job) => ({ sections: Object.values(await job.getChildrenValues()).sort() }),
  remind: async ({ data }) => `reminded by ${data.run}`,
};

const worker = new Worker(queueName, (job) => jobs[job.name](job, job), {
  connection,
  concurrency: 5,
  name: 'node',
});
worker.on('error', (error) => console.error(error));
await worker.waitUntilReady();
console.log('ready');
process.once('SIGTERM', async () => {
  await worker.close();
  process.exit(0);
});
