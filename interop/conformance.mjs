// BullMQ as a subject of a conformance run: does one operation after the other under a clock that the runner sets.
// In: {"id", "op"} with `perform` and an operation of docs/conformance.md, `adopt`, `setTime`, or `reset`. Out: as
// peer.mjs; the result of `perform` is the answer {done} | {refused: code} | {invalid: text} | {broken: text}.
// Environment: BULLMQ (6 or 5), REDIS_URL, PREFIX.

import { setTime } from './conformance/clock.mjs';
import { version } from './connection.mjs';
import { operations } from './conformance/operations.mjs';
import { adopt, clear } from './conformance/stage.mjs';
import { refusal } from './conformance/views.mjs';
import { described, input, print } from './lines.mjs';

const requests = {
  perform: async ({ operation: { op, ...args } }) => {
    if (!operations[op]) throw new Error(`no operation ${op}`);
    try {
      return { done: (await operations[op](args)) ?? null };
    } catch (error) {
      return refusal(error);
    }
  },
  adopt,
  setTime: ({ now }) => setTime(now),
  reset: async ({ now }) => {
    await clear();
    setTime(now);
  },
};

print({ event: 'ready', version });
// One after the other: the order of operations is what is compared.
for await (const { id, op, ...args } of input()) {
  try {
    print({ id, result: (await requests[op](args)) ?? null });
  } catch (error) {
    print({ id, error: described(error) });
  }
}
await clear();
process.exit(0);
