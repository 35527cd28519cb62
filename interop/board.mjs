// bull-board over the queues named on the command line; prints {"event": "ready", "port"} and serves until stdin ends.
// Environment: BULLMQ (6 or 5), REDIS_URL, PREFIX, BOARD_PORT (0, the default, picks a free one).

import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import express from 'express';
import { bullmq, connection, prefix } from './connection.mjs';
import { input, print } from './lines.mjs';

const queues = process.argv.slice(2).map((name) => new bullmq.Queue(name, { prefix, connection: connection() }));
const serverAdapter = new ExpressAdapter();
createBullBoard({ queues: queues.map((queue) => new BullMQAdapter(queue)), serverAdapter });

const server = express()
  .use(serverAdapter.getRouter())
  .listen(Number(process.env.BOARD_PORT ?? 0), '127.0.0.1', (error) => {
    if (error) throw error;
    print({ event: 'ready', port: server.address().port });
  });

for await (const _ of input());
process.exit(0);
