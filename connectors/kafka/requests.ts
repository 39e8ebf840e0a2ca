/**
 * The requests Weir sends to Kafka itself, with the versions and fields it uses (Kafka's message definitions). All
 * others go through kafkajs' admin client.
 *
 * Metadata v12 and Fetch v13 name topics by id (KIP-516): a topic that was deleted and created again cannot be taken for
 * the one before it. Both came with Kafka 3.1, which is the oldest that works.
 */
import type { Offset, Partition, TopicId } from '../../core/ids.ts';
import { WireReader, WireWriter } from './wire.ts';

/** One kind of request in one version. */
export interface Api {
  readonly key: number;
  readonly version: number;
  readonly name: string;
  /** Whether headers carry tags (KIP-482). */
  readonly flexible: boolean;
  /** Where the throttle time stands in the answer's body: first, or last. */
  readonly throttleTime: 'first' | 'last';
}

export const apis = {
  produce: { key: 0, version: 7, name: 'Produce', flexible: false, throttleTime: 'last' },
  fetch: { key: 1, version: 13, name: 'Fetch', flexible: true, throttleTime: 'first' },
  listOffsets: { key: 2, version: 3, name: 'ListOffsets', flexible: false, throttleTime: 'first' },
  metadata: { key: 3, version: 12, name: 'Metadata', flexible: true, throttleTime: 'first' },
  offsetCommit: { key: 8, version: 5, name: 'OffsetCommit', flexible: false, throttleTime: 'first' },
  findCoordinator: { key: 10, version: 1, name: 'FindCoordinator', flexible: false, throttleTime: 'first' },
} as const satisfies Record<string, Api>;

/** A request as sent: `body` is all that follows the header's client id. */
export interface Request<Answer> {
  readonly api: Api;
  readonly body: Buffer;
  /** What follows the body, sent without a copy: must stay as it is until the answer. Of Produce alone. */
  readonly fragments?: readonly Uint8Array[];
  /** Reads the answer after correlation id. */
  decode(answer: Buffer): Answer;
}

const UUID_BYTES = 16;
/** The consumer side of read_committed: only what is stable, with the list of aborted transactions. */
const READ_COMMITTED = 1;
const READ_UNCOMMITTED = 0;

function flexibleBody(capacity?: number): WireWriter {
  return new WireWriter(capacity).noTags();
}

function flexibleAnswer(answer: Buffer): WireReader {
  const reader = new WireReader(answer);
  reader.skipTags();
  return reader;
}

/** Kafka's own text form of a topic id: 22 characters of URL-safe base64. */
function readTopicId(reader: WireReader): TopicId {
  return reader.raw(UUID_BYTES).toString('base64url') as TopicId;
}

/** An id that is no UUID in Kafka's form belongs to no topic; sixteen bytes that no broker hands out stand for it. */
function topicIdBytes(id: TopicId): Uint8Array {
  const bytes = Buffer.from(id, 'base64url');
  return bytes.byteLength === UUID_BYTES ? bytes : new Uint8Array(UUID_BYTES).fill(0xff);
}

// ------------------------------------------------------------------------------------------------------- Metadata

export interface BrokerAddress {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

export interface PartitionLeader {
  /** -1 while there is none. */
  readonly nodeId: number;
  readonly epoch: number;
}

export interface TopicMetadata {
  readonly topic: string;
  /** Kafka's error code; 0 = none. */
  readonly errorCode: number;
  readonly topicId: TopicId;
  readonly leaders: ReadonlyMap<Partition, PartitionLeader>;
}

export interface ClusterMetadata {
  readonly brokers: readonly BrokerAddress[];
  readonly topics: readonly TopicMetadata[];
}

/** Asks for the brokers and these topics; never creates one. */
export function metadataRequest(topics: readonly string[]): Request<ClusterMetadata> {
  const body = flexibleBody();
  body.compactArray(topics, (topic) => body.raw(new Uint8Array(UUID_BYTES)).compactString(topic).noTags());
  body.boolean(false).boolean(false).noTags();
  return { api: apis.metadata, body: body.finish(), decode: decodeMetadata };
}

function decodeMetadata(answer: Buffer): ClusterMetadata {
  const reader = flexibleAnswer(answer);
  reader.i32(); // throttle time
  const brokers = reader.compactArray(() => {
    const broker = { nodeId: reader.i32(), host: reader.compactString() ?? '', port: reader.i32() };
    reader.compactString(); // rack
    reader.skipTags();
    return broker;
  });
  reader.compactString(); // cluster id
  reader.i32(); // controller
  const topics = reader.compactArray(() => {
    const errorCode = reader.i16();
    const topic = reader.compactString() ?? '';
    const topicId = readTopicId(reader);
    reader.i8(); // internal
    const leaders = new Map(reader.compactArray(() => readPartitionLeader(reader)));
    reader.i32(); // authorized operations
    reader.skipTags();
    return { topic, errorCode, topicId, leaders };
  });
  return { brokers, topics };
}

function readPartitionLeader(reader: WireReader): [Partition, PartitionLeader] {
  reader.i16(); // error code: says no more than the leader does
  const partition = reader.i32() as Partition;
  const leader = { nodeId: reader.i32(), epoch: reader.i32() };
  for (const _ of ['replicas', 'in sync', 'offline']) reader.compactArray(() => reader.i32());
  reader.skipTags();
  return [partition, leader];
}

// ---------------------------------------------------------------------------------------------------- ListOffsets

/** Times that stand for ends of the log. */
export const EARLIEST_TIME = -2;
export const LATEST_TIME = -1;

export interface ListedOffset {
  readonly partition: Partition;
  readonly errorCode: number;
  /** -1 when no record is that late. */
  readonly offset: Offset;
}

/** First offsets at or after a time (ms); `LATEST_TIME` gives the last stable offset, or the high watermark. */
export function listOffsetsRequest(
  topic: string,
  partitions: readonly Partition[],
  timeMs: number,
  latest: 'stable' | 'highWatermark' = 'stable',
): Request<ListedOffset[]> {
  const body = new WireWriter();
  body.i32(-1).i8(latest === 'stable' ? READ_COMMITTED : READ_UNCOMMITTED);
  body.array([topic], (name) => {
    body.string(name).array(partitions, (partition) => body.i32(partition).i64(timeMs));
  });
  return { api: apis.listOffsets, body: body.finish(), decode: decodeListOffsets };
}

function decodeListOffsets(answer: Buffer): ListedOffset[] {
  const reader = new WireReader(answer);
  reader.i32(); // throttle time
  const topics = reader.array(() => {
    reader.string();
    return reader.array(() => {
      const partition = reader.i32() as Partition;
      const errorCode = reader.i16();
      reader.i64(); // time
      return { partition, errorCode, offset: reader.i64() as Offset };
    });
  });
  return topics.flat();
}

// ---------------------------------------------------------------------------------------------------------- Fetch

export interface FetchPosition {
  readonly partition: Partition;
  readonly leaderEpoch: number;
  readonly offset: Offset;
  readonly maxBytes: number;
}

/** Its answer is read by {@link FetchAnswers}. */
export type FetchRequest = Omit<Request<never>, 'decode'>;

/** One poll of partitions of one topic, outside of any fetch session. Answered as soon as there is one byte. */
export function fetchRequest(
  topicId: TopicId,
  positions: readonly FetchPosition[],
  maxWaitMs: number,
  maxBytes: number,
): FetchRequest {
  const body = flexibleBody(64 + positions.length * 40);
  body.i32(-1).i32(maxWaitMs).i32(1).i32(maxBytes).i8(READ_COMMITTED).i32(0).i32(-1);
  body.compactArray([topicIdBytes(topicId)], (id) => {
    body.raw(id).compactArray(positions, (position) => {
      body
        .i32(position.partition)
        .i32(position.leaderEpoch)
        .i64(position.offset)
        .i32(-1)
        .i64(-1)
        .i32(position.maxBytes)
        .noTags();
    });
    body.noTags();
  });
  body
    .compactArray([], () => undefined)
    .compactString('')
    .noTags();
  return { api: apis.fetch, body: body.finish() };
}

// -------------------------------------------------------------------------------------------------------- Produce

export interface BatchToProduce {
  readonly topic: string;
  readonly partition: Partition;
  readonly batch: Uint8Array;
}

export interface ProducedBatch {
  readonly topic: string;
  readonly partition: Partition;
  readonly errorCode: number;
}

/**
 * Appends encoded batches, at most one per partition (the broker takes no more), with acks=all; with a transactional id
 * those of its transaction.
 */
export function produceRequest(
  batches: readonly BatchToProduce[],
  timeoutMs: number,
  transactionalId: string | null = null,
): Request<ProducedBatch[]> {
  const byTopic = [...Map.groupBy(batches, (batch) => batch.topic)];
  const body = new WireWriter(64 + batches.length * 8 + byTopic.length * 256);
  (transactionalId === null ? body.nullString() : body.string(transactionalId)).i16(-1).i32(timeoutMs);
  /** Where the batches belong, in their order. */
  const cuts: number[] = [];
  body.array(byTopic, ([topic, items]) => {
    body.string(topic).array(items, ({ partition, batch }) => {
      body.i32(partition).i32(batch.byteLength);
      cuts.push(body.length);
    });
  });
  const head = body.finish();
  const inOrder = byTopic.flatMap(([, items]) => items);
  const fragments = inOrder.flatMap(({ batch }, index) =>
    index + 1 < inOrder.length ? [batch, head.subarray(cuts[index], cuts[index + 1])] : [batch],
  );
  return { api: apis.produce, body: head.subarray(0, cuts[0]), fragments, decode: decodeProduce };
}

function decodeProduce(answer: Buffer): ProducedBatch[] {
  const reader = new WireReader(answer);
  const topics = reader.array(() => {
    const topic = reader.string() ?? '';
    return reader.array(() => {
      const partition = reader.i32() as Partition;
      const errorCode = reader.i16();
      reader.raw(3 * 8); // base offset, append time, log start
      return { topic, partition, errorCode };
    });
  });
  return topics.flat();
}

// --------------------------------------------------------------------------------------------------- group offsets

const GROUP = 0;

export interface Coordinator {
  readonly errorCode: number;
  readonly broker: BrokerAddress;
}

export function findGroupCoordinatorRequest(group: string): Request<Coordinator> {
  return {
    api: apis.findCoordinator,
    body: new WireWriter().string(group).i8(GROUP).finish(),
    decode: (answer) => {
      const reader = new WireReader(answer);
      reader.i32(); // throttle time
      const errorCode = reader.i16();
      reader.string(); // message
      return { errorCode, broker: { nodeId: reader.i32(), host: reader.string() ?? '', port: reader.i32() } };
    },
  };
}

/** Sets a group's offsets from outside the group, as tools do: no generation, no member. Answers the error codes. */
export function offsetCommitRequest(
  group: string,
  topic: string,
  offsets: ReadonlyMap<Partition, Offset>,
): Request<number[]> {
  const body = new WireWriter().string(group).i32(-1).string('');
  body.array([topic], (name) => {
    body.string(name).array([...offsets], ([partition, offset]) => body.i32(partition).i64(offset).nullString());
  });
  return {
    api: apis.offsetCommit,
    body: body.finish(),
    decode: (answer) => {
      const reader = new WireReader(answer);
      reader.i32(); // throttle time
      const topics = reader.array(() => {
        reader.string();
        return reader.array(() => {
          reader.i32();
          return reader.i16();
        });
      });
      return topics.flat();
    },
  };
}

/** ms the broker asks us to stay silent for (KIP-219). */
export function throttleTimeMs(api: Api, answer: Buffer): number {
  if (api.throttleTime === 'last') return answer.readInt32BE(answer.byteLength - 4);
  const reader = new WireReader(answer);
  if (api.flexible) reader.skipTags();
  return reader.i32();
}
