/** Per-user state in TypeScript: how many records a user had, with each of them. Names are put in by the bench. */
import { defineJob, keyedState } from 'weir';

export default defineJob({
  name: 'bench-name',
  sources: {
    timed: {
      connector: 'kafka',
      topic: 'BENCH_INPUT',
      startingOffsets: 'earliest',
      schema: 'k STRING NOT NULL, v BIGINT NOT NULL, ts TIMESTAMP NOT NULL, sent BIGINT NOT NULL',
    },
  },
  query: 'SELECT k, sent FROM timed',
  then: keyedState(
    {
      key: ['k'],
      input: 'k STRING NOT NULL, sent BIGINT NOT NULL',
      state: { value: 'n BIGINT NOT NULL' },
      output: 'k STRING NOT NULL, v BIGINT NOT NULL, sent BIGINT NOT NULL',
    },
    {
      onRow({ k, sent }, state, context) {
        const v = (state.get()?.n ?? 0n) + 1n;
        state.set({ n: v });
        context.emit({ k, v, sent });
      },
    },
  ),
  sinks: [{ connector: 'kafka', topic: 'BENCH_OUTPUT', key: 'k', compression: 'none' }],
});
