// When BullMQ says that a cron pattern is due. In: one {"pattern", "tz", "after"} a line, `after` in epoch milliseconds.
// Out: {"next"} for each, null when there is none, or {"error"} when BullMQ cannot read the pattern.
// Environment: BULLMQ (6 or 5).

import { bullmq } from './connection.mjs';
import { input, print } from './lines.mjs';

print({ event: 'ready' });
for await (const { pattern, tz, after } of input()) {
  try {
    print({ next: bullmq.defaultRepeatStrategy(after, { pattern, tz }) ?? null });
  } catch (error) {
    print({ error: error.message });
  }
}
