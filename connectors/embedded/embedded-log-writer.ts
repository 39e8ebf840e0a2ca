/** Appends record batches to topics of the embedded process. */
import type { Clock, Rng } from '../../core/clock.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { LogAppend, LogWriter } from '../../core/ports.ts';
import type { EmbeddedConnection } from './client.ts';
import { LONG_CALL_TIMEOUT_MS } from './client.ts';
import { untilDone } from './retry.ts';

/** Bytes of batches in one message, well below the largest one. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

export class EmbeddedLogWriter implements LogWriter {
  readonly #connection: EmbeddedConnection;
  readonly #clock: Clock;
  readonly #rng: Rng;

  constructor(connection: EmbeddedConnection, clock: Clock, rng: Rng) {
    this.#connection = connection;
    this.#clock = clock;
    this.#rng = rng;
  }

  async partitionCount(topic: string): Promise<number> {
    return (await this.#connection.call((client) => client.describeTopic, { topic }, 'SINK_UNAVAILABLE')).partitions;
  }

  async append(appends: readonly LogAppend[], permit: WritePermit): Promise<void> {
    for (const part of splitBySize(appends)) {
      await untilDone(this.#clock, this.#rng, () => {
        permit.check();
        return this.#connection.call(
          (client) => client.append,
          { appends: part },
          'SINK_UNAVAILABLE',
          LONG_CALL_TIMEOUT_MS,
        );
      });
    }
  }

  async createTopic(topic: string, partitions: number): Promise<void> {
    await this.#connection.call((client) => client.createTopic, { topic, partitions }, 'SINK_UNAVAILABLE');
  }

  /** The connection is not the writer's to close. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

function splitBySize(appends: readonly LogAppend[]): LogAppend[][] {
  const parts: LogAppend[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const append of appends) {
    bytes += append.batch.byteLength;
    if (bytes > MESSAGE_BYTES_MAX) {
      parts.push([]);
      bytes = append.batch.byteLength;
    }
    parts.at(-1)?.push(append);
  }
  return parts;
}
