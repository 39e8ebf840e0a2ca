/** Contexts of records that were fetched, until the batch that they are in is done. Bounded: the oldest go first. */
import type { TraceContext } from '../../core/telemetry/trace-context.ts';
import type { Connections, Source } from '../../core/ports.ts';
import type { RecordContext } from './record-contexts.ts';
import { contextsIn } from './record-contexts.ts';

/** Looked at of one fetch. */
const FETCH_MAX = 32;
/** Kept of one partition. */
const PARTITION_MAX = 512;

export class SeenContexts {
  readonly #byPartition = new Map<string, RecordContext[]>();

  /** Several jobs may fetch the same records: each is kept once. */
  add(topic: string, partition: number, contexts: readonly RecordContext[]): void {
    const place = `${topic}/${partition}`;
    const kept = this.#byPartition.get(place) ?? [];
    const known = new Set(kept.map(({ offset }) => offset));
    kept.push(...contexts.filter(({ offset }) => !known.has(offset)));
    if (kept.length > PARTITION_MAX) kept.splice(0, kept.length - PARTITION_MAX);
    this.#byPartition.set(place, kept);
  }

  /** Of records in [from, to), at most `max`. */
  within(topic: string, partition: number, from: number, to: number, max: number): TraceContext[] {
    const kept = this.#byPartition.get(`${topic}/${partition}`) ?? [];
    return kept.flatMap(({ offset, context }) => (offset >= from && offset < to ? [context] : [])).slice(0, max);
  }

  /** The same connections, whose readers tell what they fetch. */
  watch(connections: Connections): Connections {
    const { lookups } = connections;
    return {
      source: (connector, options) => this.#watchSource(connections.source(connector, options)),
      logWriter: (connector, options) => connections.logWriter(connector, options),
      tables: (connector, options) => connections.tables(connector, options),
      rowSinks: (connector) => connections.rowSinks(connector),
      ...(lookups === undefined ? {} : { lookups: (connector) => lookups.call(connections, connector) }),
      blobs: () => connections.blobs(),
      describe: () => connections.describe(),
      close: () => connections.close(),
    };
  }

  #watchSource(source: Source): Source {
    return {
      describe: (topic) => source.describe(topic),
      offsets: (topic, partitions, query) => source.offsets(topic, partitions, query),
      showOffsets: (group, topic, offsets) => source.showOffsets(group, topic, offsets),
      close: () => source.close(),
      open: (description) => {
        const reader = source.open(description);
        return {
          close: () => reader.close(),
          fetch: async (request) => {
            const fetched = await reader.fetch(request);
            // Now: whoever asked for the bytes may give them to a thread.
            const contexts = contextsIn(fetched.bytes, request.offset, FETCH_MAX);
            if (contexts.length > 0) this.add(description.topic, request.partition, contexts);
            return fetched;
          },
        };
      },
    };
  }
}
