/**
 * The independent consumer's process: notes when records come in, by the monotonic clock that the generator's times are
 * of. With a table to write to it is the bare writer: it writes each batch with the driver and notes the answer.
 */
import { createInterface } from 'node:readline';
import cassandra from 'cassandra-driver';
import kafkajs from 'kafkajs';
import { percentile, round } from '../measure/statistics.ts';

export interface ConsumerSettings {
  readonly brokers: string;
  readonly topic: string;
  /** Sums the greatest `v` by `k` and `w`: results that are updated. */
  readonly sums: boolean;
  readonly table?: { readonly contactPoint: string; readonly name: string };
}

const settings = JSON.parse(process.argv[2] ?? '{}') as ConsumerSettings;
const BATCH_ROWS = 50;
const SENT = Buffer.from('"sent":');

function say(event: string, more: Readonly<Record<string, unknown>> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
}

/** Due time and latency of each record, µs. */
let dueUs = new Float64Array(1 << 20);
let latencyUs = new Float64Array(1 << 20);
let count = 0;
const greatest = new Map<string, number>();

function remember(due: number, nowUs: number): void {
  if (count === dueUs.length) {
    dueUs = grown(dueUs);
    latencyUs = grown(latencyUs);
  }
  dueUs[count] = due;
  latencyUs[count++] = nowUs - due;
}

function grown(array: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2);
  larger.set(array);
  return larger;
}

interface Row {
  readonly k: string;
  readonly v: number;
  readonly sent: number;
  readonly w?: number;
}

function dueOf(value: Buffer): number {
  if (!settings.sums) {
    let due = 0;
    for (let at = value.lastIndexOf(SENT) + SENT.length; ; at++) {
      const digit = (value[at] ?? 0) - 48;
      if (digit < 0 || digit > 9) return due;
      due = due * 10 + digit;
    }
  }
  const row = JSON.parse(value.toString()) as Row;
  const key = `${row.w ?? ''}|${row.k}`;
  greatest.set(key, Math.max(greatest.get(key) ?? 0, Number(row.v)));
  return Number(row.sent);
}

const { table } = settings;
const client =
  table === undefined
    ? undefined
    : new cassandra.Client({ contactPoints: [table.contactPoint], localDataCenter: 'datacenter1' });
await client?.connect();

async function write(rows: readonly Row[]): Promise<void> {
  const query = `INSERT INTO weir_bench.${table?.name} (k, v, sent) VALUES (?, ?, ?)`;
  const waits: Promise<unknown>[] = [];
  for (let from = 0; from < rows.length; from += BATCH_ROWS) {
    const part = rows.slice(from, from + BATCH_ROWS);
    const queries = part.map(({ k, v, sent }) => ({ query, params: [k, v, sent] }));
    const answered = client?.batch(queries, { prepare: true, logged: false }).then(() => {
      const nowUs = Number(process.hrtime.bigint() / 1000n);
      for (const { sent } of part) remember(sent, nowUs);
    });
    if (answered !== undefined) waits.push(answered);
  }
  await Promise.all(waits);
}

const kafka = new kafkajs.Kafka({
  clientId: 'bench-latency',
  brokers: [settings.brokers],
  logLevel: kafkajs.logLevel.NOTHING,
});
const consumer = kafka.consumer({
  groupId: `latency-${settings.topic}-${process.pid}`,
  maxWaitTimeInMs: 500,
  minBytes: 1,
  readUncommitted: true,
});
await consumer.connect();
await consumer.subscribe({ topic: settings.topic, fromBeginning: true });
const joined = new Promise<void>((resolve) => {
  consumer.on(consumer.events.GROUP_JOIN, () => resolve());
});
await consumer.run({
  autoCommit: false,
  partitionsConsumedConcurrently: 8,
  eachBatch: async ({ batch }) => {
    if (table !== undefined) {
      await write(batch.messages.map(({ value }) => JSON.parse(String(value)) as Row));
      return;
    }
    const nowUs = Number(process.hrtime.bigint() / 1000n);
    for (const { value } of batch.messages) if (value !== null) remember(dueOf(value), nowUs);
  },
});
await joined;
say('ready');

for await (const line of createInterface({ input: process.stdin })) {
  const [word, argument = '0'] = line.split(' ');
  if (word === 'count') say('count', { count, sum: [...greatest.values()].reduce((sum, v) => sum + v, 0) });
  if (word === 'figures') {
    const fromUs = Number(argument);
    const counted = latencyUs
      .subarray(0, count)
      .filter((_, index) => (dueUs[index] ?? 0) >= fromUs)
      .toSorted();
    const ms = (share: number): number => round(percentile(counted, share) / 1000, 2);
    say('figures', {
      counted: counted.length,
      p50Ms: ms(0.5),
      p90Ms: ms(0.9),
      p99Ms: ms(0.99),
      p999Ms: ms(0.999),
      maxMs: ms(1),
    });
  }
  if (word === 'exit') break;
}
await consumer.disconnect();
await client?.shutdown();
