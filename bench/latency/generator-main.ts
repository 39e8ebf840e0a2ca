/**
 * The open-loop generator's process: so many records a second, whatever becomes of them. Each carries the time at which
 * it was due, in microseconds of the machine's monotonic clock, which all processes share.
 */
import { createInterface } from 'node:readline';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { makeLog } from '../../connectors/system/log.ts';
import { partition as partitionId } from '../../core/ids.ts';
import type { RecordToEncode } from '../../core/record-batch-encoder.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { alwaysPermitted } from '../data/preload.ts';
import type { Shape } from './shapes.ts';
import { keyOf, originalOf } from './shapes.ts';

export interface GeneratorSettings {
  readonly brokers: string;
  readonly topic: string;
  readonly partitions: number;
  readonly rate: number;
  readonly seconds: number;
  readonly shape: Shape;
}

const settings = JSON.parse(process.argv[2] ?? '{}') as GeneratorSettings;
const { topic, partitions, rate, seconds, shape } = settings;

function say(event: string, more: Readonly<Record<string, unknown>> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
}

const connections = makeConnections(
  { KAFKA_BROKERS: settings.brokers },
  { clock: systemClock, rng: systemRng, log: makeLog('generator', 'error') },
);
const writer = connections.logWriter('kafka', {});
await writer.partitionCount(topic);
say('ready');

const encoder = new TextEncoder();

async function generate(): Promise<void> {
  const startedUs = Number(process.hrtime.bigint() / 1000n);
  const startedMs = Date.now();
  const total = Math.floor(rate * seconds);
  let failure: unknown;
  let underWay = 0;
  let latest = 0;
  say('started', { startedUs });
  for (let sent = 0; sent < total && failure === undefined;) {
    const nowUs = Number(process.hrtime.bigint() / 1000n) - startedUs;
    const due = Math.min(total, Math.floor((nowUs * rate) / 1e6));
    if (due > sent) {
      const lists: RecordToEncode[][] = Array.from({ length: partitions }, () => []);
      for (let index = sent; index < due; index++) {
        const original = originalOf(shape, index);
        const ts = new Date(startedMs + Math.floor((original * 1000) / rate)).toISOString();
        const dueUs = startedUs + Math.floor((index * 1e6) / rate);
        const key = keyOf(shape, index);
        lists[index % partitions]?.push({
          key: encoder.encode(key),
          value: encoder.encode(`{"k":"${key}","v":${index},"ts":"${ts}","sent":${dueUs}}`),
          timestampMs: Date.now(),
        });
      }
      sent = due;
      const appends = lists.flatMap((records, partition) =>
        records.length === 0 ? [] : [{ topic, partition: partitionId(partition), batch: encodeRecordBatch(records) }],
      );
      underWay++;
      latest = Math.max(latest, underWay);
      // Not waited for: the next records are due whatever becomes of these.
      void writer.append(appends, alwaysPermitted).then(
        () => underWay--,
        (error: unknown) => {
          failure = error;
        },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  while (underWay > 0 && failure === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
  if (failure === undefined) say('done', { sent: total, underWayAtMost: latest });
  else say('failed', { message: String(failure) });
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'go') await generate();
  if (line === 'exit') break;
}
await connections.close();
