/**
 * Requests of a transactional producer (KIP-98), in the versions that Weir uses: all of them are in Kafka 3.1, the oldest
 * that works, and in Kafka 4. InitProducerId v4 names the producer that goes on (KIP-360), OffsetFetch v7 waits for
 * transactions that are being decided (KIP-447).
 */
import type { Offset, Partition } from '../../core/ids.ts';
import type { ProducerIdentity } from './kafka-transactional-batch.ts';
import type { Api, Coordinator, Request } from './requests.ts';
import { apis } from './requests.ts';
import { WireReader, WireWriter } from './wire.ts';

export const transactionApis = {
  offsetFetch: { key: 9, version: 7, name: 'OffsetFetch', flexible: true, throttleTime: 'first' },
  initProducerId: { key: 22, version: 4, name: 'InitProducerId', flexible: true, throttleTime: 'first' },
  addPartitionsToTxn: { key: 24, version: 2, name: 'AddPartitionsToTxn', flexible: false, throttleTime: 'first' },
  addOffsetsToTxn: { key: 25, version: 2, name: 'AddOffsetsToTxn', flexible: false, throttleTime: 'first' },
  endTxn: { key: 26, version: 2, name: 'EndTxn', flexible: false, throttleTime: 'first' },
  txnOffsetCommit: { key: 28, version: 2, name: 'TxnOffsetCommit', flexible: false, throttleTime: 'first' },
} as const satisfies Record<string, Api>;

/** Kinds of coordinators in FindCoordinator. */
const TRANSACTION = 1;

export interface TopicPartition {
  readonly topic: string;
  readonly partition: Partition;
}

export function findTransactionCoordinatorRequest(transactionalId: string): Request<Coordinator> {
  return {
    api: apis.findCoordinator,
    body: new WireWriter().string(transactionalId).i8(TRANSACTION).finish(),
    decode: (answer) => {
      const reader = afterThrottle(answer);
      const errorCode = reader.i16();
      reader.string(); // message
      return { errorCode, broker: { nodeId: reader.i32(), host: reader.string() ?? '', port: reader.i32() } };
    },
  };
}

export interface InitializedProducer {
  readonly errorCode: number;
  readonly producer: ProducerIdentity;
}

/**
 * Takes a transactional id over: ends what is open under it and fences whoever had it. With `current`, only that very
 * producer goes on; anybody else is told that it is fenced.
 */
export function initProducerIdRequest(
  transactionalId: string,
  timeoutMs: number,
  current: ProducerIdentity | null,
): Request<InitializedProducer> {
  const body = new WireWriter().noTags().compactString(transactionalId).i32(timeoutMs);
  body.i64(current?.id ?? -1).i16(current?.epoch ?? -1);
  return {
    api: transactionApis.initProducerId,
    body: body.noTags().finish(),
    decode: (answer) => {
      const reader = new WireReader(answer);
      reader.skipTags();
      reader.i32(); // throttle time
      return { errorCode: reader.i16(), producer: { id: reader.i64(), epoch: reader.i16() } };
    },
  };
}

/** Answers the worst code of the partitions; the broker takes all of them or none. */
export function addPartitionsToTxnRequest(
  transactionalId: string,
  producer: ProducerIdentity,
  partitions: readonly TopicPartition[],
): Request<number> {
  const body = withProducer(new WireWriter().string(transactionalId), producer);
  body.array([...Map.groupBy(partitions, ({ topic }) => topic)], ([topic, some]) => {
    body.string(topic).array(some, ({ partition }) => body.i32(partition));
  });
  return { api: transactionApis.addPartitionsToTxn, body: body.finish(), decode: worstOfPartitions };
}

export function addOffsetsToTxnRequest(
  transactionalId: string,
  producer: ProducerIdentity,
  group: string,
): Request<number> {
  const body = withProducer(new WireWriter().string(transactionalId), producer).string(group);
  return { api: transactionApis.addOffsetsToTxn, body: body.finish(), decode: (answer) => afterThrottle(answer).i16() };
}

export interface NotedOffset extends TopicPartition {
  readonly offset: Offset;
  /** Kept beside the offset. */
  readonly note: string;
}

/** Puts an offset of the group into the transaction: it is the group's once the transaction is committed. */
export function txnOffsetCommitRequest(
  transactionalId: string,
  producer: ProducerIdentity,
  group: string,
  { topic, partition, offset, note }: NotedOffset,
): Request<number> {
  const body = withProducer(new WireWriter().string(transactionalId).string(group), producer);
  body.array([topic], (name) => {
    body.string(name).array([partition], (index) => body.i32(index).i64(offset).i32(-1).string(note));
  });
  return { api: transactionApis.txnOffsetCommit, body: body.finish(), decode: worstOfPartitions };
}

/** Commits or aborts. Answered before the markers stand in the log. */
export function endTxnRequest(transactionalId: string, producer: ProducerIdentity, commits: boolean): Request<number> {
  const body = withProducer(new WireWriter().string(transactionalId), producer).boolean(commits);
  return { api: transactionApis.endTxn, body: body.finish(), decode: (answer) => afterThrottle(answer).i16() };
}

export interface FetchedOffset {
  readonly errorCode: number;
  /** -1 = the group has none. */
  readonly offset: Offset;
  readonly note: string;
}

/** The stable offset of a group: refused (UNSTABLE_OFFSET_COMMIT) while a transaction with it is open or being ended. */
export function stableOffsetRequest(group: string, { topic, partition }: TopicPartition): Request<FetchedOffset> {
  const body = new WireWriter().noTags().compactString(group);
  body.compactArray([topic], (name) => {
    body
      .compactString(name)
      .compactArray([partition], (index) => body.i32(index))
      .noTags();
  });
  body.boolean(true).noTags();
  return { api: transactionApis.offsetFetch, body: body.finish(), decode: decodeStableOffset };
}

function decodeStableOffset(answer: Buffer): FetchedOffset {
  const reader = new WireReader(answer);
  reader.skipTags();
  reader.i32(); // throttle time
  const [found] = reader
    .compactArray(() => {
      reader.compactString();
      const partitions = reader.compactArray(() => {
        reader.i32(); // partition
        const offset = reader.i64() as Offset;
        reader.i32(); // leader epoch
        const note = reader.compactString() ?? '';
        const errorCode = reader.i16();
        reader.skipTags();
        return { errorCode, offset, note };
      });
      reader.skipTags();
      return partitions;
    })
    .flat();
  const errorCode = reader.i16();
  return errorCode !== 0 || found === undefined ? { errorCode, offset: -1 as Offset, note: '' } : found;
}

function withProducer(body: WireWriter, producer: ProducerIdentity): WireWriter {
  return body.i64(producer.id).i16(producer.epoch);
}

function afterThrottle(answer: Buffer): WireReader {
  const reader = new WireReader(answer);
  reader.i32();
  return reader;
}

/** OPERATION_NOT_ATTEMPTED only says that another partition was refused. */
const OPERATION_NOT_ATTEMPTED = 55;

function worstOfPartitions(answer: Buffer): number {
  const reader = afterThrottle(answer);
  const codes = reader
    .array(() => {
      reader.string(); // topic
      return reader.array(() => {
        reader.i32(); // partition
        return reader.i16();
      });
    })
    .flat()
    .filter((code) => code !== 0);
  return codes.find((code) => code !== OPERATION_NOT_ATTEMPTED) ?? codes[0] ?? 0;
}
