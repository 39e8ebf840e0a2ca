/**
 * The topics of an embedded process. With a data directory:
 *
 *   topics/<topic>/topic.json            id and partition count
 *   topics/<topic>/<partition>/<base offset>.log
 *   topics/<topic>/<partition>/start     raised start offset, if any
 *
 * A topic is made in a directory of another name and renamed, and renamed away before it is removed, so that after a
 * kill it is there as a whole or not at all.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WeirError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { diskError, syncDirectory, writeFileAtomic } from './disk.ts';
import { PartitionLog } from './partition-log.ts';
import type { SegmentStorage } from './segment.ts';
import { FileStorage, MemoryStorage, Segment } from './segment.ts';

const FILE_SEGMENT_BYTES_MAX = 32 * 1024 * 1024;
const MEMORY_SEGMENT_BYTES_MAX = 4 * 1024 * 1024;
const PARTITIONS_MAX = 1000;
const topicPattern = /^[a-zA-Z0-9._-]{1,249}$/;

export interface Topic {
  readonly name: string;
  /** UUID of this life of the topic. */
  readonly id: string;
  readonly partitions: readonly PartitionLog[];
}

export interface TopicsOptions {
  /** null = in memory. */
  readonly dir: string | null;
  /** Above this the oldest segments go, of the largest partition first; reading them is OFFSET_OUT_OF_RANGE then. */
  readonly bytesMax: number;
  /** A segment is followed by a new one at so many bytes; default 32 MiB in files, 4 MiB in memory. */
  readonly segmentBytesMax?: number;
  /** Opens the file of a segment; default {@link FileStorage}. */
  readonly openFile?: (path: string) => SegmentStorage;
  readonly log: Log;
}

export class Topics {
  readonly #options: TopicsOptions;
  readonly #topics = new Map<string, Topic>();
  #isTrimming = false;

  private constructor(options: TopicsOptions) {
    this.#options = options;
  }

  /** Reads what is on disk. Torn tails of a killed process are cut off. */
  static async open(options: TopicsOptions): Promise<Topics> {
    const topics = new Topics(options);
    const { dir } = options;
    if (dir === null) return topics;
    mkdirSync(dir, { recursive: true });
    for (const name of readdirSync(dir)) {
      if (name.startsWith('~')) rmSync(join(dir, name), { recursive: true, force: true });
      else topics.#topics.set(name, await topics.#load(name, join(dir, name)));
    }
    return topics;
  }

  /** Creates the topic if it is missing; one that exists is given back as it is. */
  create(name: string, partitionCount: number): Topic {
    if (!topicPattern.test(name) || name === '.' || name === '..') {
      throw new WeirError(
        'SINK_REFUSED',
        `"${name}" cannot be a topic: a name is 1 to 249 of a-z, A-Z, 0-9, ".", "_" and "-".`,
      );
    }
    const existing = this.#topics.get(name);
    if (existing !== undefined) return existing;
    if (!(partitionCount >= 1 && partitionCount <= PARTITIONS_MAX)) {
      throw new WeirError(
        'SINK_REFUSED',
        `the topic ${name} cannot have ${partitionCount} partitions: 1 to ${PARTITIONS_MAX} are possible.`,
      );
    }
    const id = randomUUID();
    const { dir } = this.#options;
    if (dir !== null) this.#createOnDisk(dir, name, id, partitionCount);
    const topic: Topic = {
      name,
      id,
      partitions: Array.from({ length: partitionCount }, (_, index) => this.#partition(name, index, [], 0)),
    };
    this.#topics.set(name, topic);
    return topic;
  }

  /** Throws: TOPIC_NOT_FOUND. */
  get(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic === undefined) {
      throw new WeirError(
        'TOPIC_NOT_FOUND',
        `There is no topic ${name} in the embedded log. Create it, or start what produces into it.`,
      );
    }
    return topic;
  }

  /** Throws: TOPIC_NOT_FOUND, also for a partition the topic does not have. */
  partition(name: string, index: number): PartitionLog {
    const topic = this.get(name);
    const partition = topic.partitions[index];
    if (partition === undefined) {
      throw new WeirError(
        'TOPIC_NOT_FOUND',
        `The topic ${name} has ${topic.partitions.length} partitions, and none of number ${index}.`,
      );
    }
    return partition;
  }

  /** A partition of this life of a topic; undefined = it is gone. */
  partitionOf(topicId: string, index: number): PartitionLog | undefined {
    for (const topic of this.#topics.values()) if (topic.id === topicId) return topic.partitions[index];
    return undefined;
  }

  async append(name: string, index: number, batch: Uint8Array, expectedEnd?: number): Promise<number> {
    const base = await this.partition(name, index).append(batch, expectedEnd);
    this.trimSoon();
    return base;
  }

  async delete(name: string): Promise<void> {
    const topic = this.get(name);
    this.#topics.delete(name);
    const gone = new WeirError('TOPIC_NOT_FOUND', `The topic ${name} was deleted.`);
    await Promise.all(topic.partitions.map((partition) => partition.close(gone)));
    const { dir } = this.#options;
    if (dir === null) return;
    const away = join(dir, `~${topic.id}`);
    renameSync(join(dir, name), away);
    syncDirectory(dir);
    rmSync(away, { recursive: true, force: true });
  }

  async close(): Promise<void> {
    const reason = new WeirError('SOURCE_UNAVAILABLE', 'The embedded process is shutting down.');
    for (const topic of this.#topics.values())
      await Promise.all(topic.partitions.map((partition) => partition.close(reason)));
  }

  #createOnDisk(dir: string, name: string, id: string, partitionCount: number): void {
    const building = join(dir, `~${id}`);
    try {
      for (let index = 0; index < partitionCount; index++)
        mkdirSync(join(building, String(index)), { recursive: true });
      writeFileAtomic(
        join(building, 'topic.json'),
        JSON.stringify({ formatVersion: 1, topicId: id, partitions: partitionCount }),
      );
      renameSync(building, join(dir, name));
      syncDirectory(dir);
    } catch (error) {
      rmSync(building, { recursive: true, force: true });
      throw diskError(error, `create the topic ${name}`);
    }
  }

  async #load(name: string, dir: string): Promise<Topic> {
    const facts = JSON.parse(readFileSync(join(dir, 'topic.json'), 'utf8')) as { topicId: string; partitions: number };
    const partitions: PartitionLog[] = [];
    for (let index = 0; index < facts.partitions; index++)
      partitions.push(await this.#loadPartition(name, index, join(dir, String(index))));
    return { name, id: facts.topicId, partitions };
  }

  async #loadPartition(name: string, index: number, dir: string): Promise<PartitionLog> {
    const startText = readdirSync(dir).includes('start') ? readFileSync(join(dir, 'start'), 'utf8') : '0';
    const files = readdirSync(dir)
      .filter((file) => /^\d{20}\.log$/.test(file))
      .sort();
    const segments: Segment[] = [];
    for (const [at, file] of files.entries()) {
      const path = join(dir, file);
      const baseOffset = Number(file.slice(0, 20));
      const bytes = statSync(path).size;
      const following = files[at + 1];
      // Only the last one can be torn: the next segment begins when the one before is durable.
      if (following !== undefined) {
        segments.push(Segment.sealed(baseOffset, Number(following.slice(0, 20)), bytes, this.#openFile(path)));
        continue;
      }
      const segment = new Segment(baseOffset, this.#openFile(path));
      const cut = await segment.recover(bytes);
      if (cut > 0) {
        const message = `cut ${cut} bytes off ${name}-${index} after offset ${segment.endOffset}: an append that was never acknowledged`;
        this.#options.log.warn({ topic: name, partition: index, bytes: cut, endOffset: segment.endOffset }, message);
      }
      segments.push(segment);
    }
    return this.#partition(name, index, segments, Number(startText));
  }

  #partition(name: string, index: number, segments: readonly Segment[], startOffset: number): PartitionLog {
    const { dir } = this.#options;
    const partitionDir = dir === null ? null : join(dir, name, String(index));
    return new PartitionLog({
      name: `${name}-${index}`,
      segmentBytesMax:
        this.#options.segmentBytesMax ?? (partitionDir === null ? MEMORY_SEGMENT_BYTES_MAX : FILE_SEGMENT_BYTES_MAX),
      segments,
      startOffset,
      createSegment: (baseOffset) => {
        if (partitionDir === null) return new Segment(baseOffset, new MemoryStorage());
        return new Segment(
          baseOffset,
          this.#openFile(join(partitionDir, `${String(baseOffset).padStart(20, '0')}.log`)),
        );
      },
      saveStart: (start) => {
        if (partitionDir !== null) writeFileAtomic(join(partitionDir, 'start'), String(start));
        return Promise.resolve();
      },
    });
  }

  #openFile(path: string): SegmentStorage {
    return this.#options.openFile?.(path) ?? new FileStorage(path);
  }

  /** Removes what is above the limit, beside everything else. */
  trimSoon(): void {
    if (this.#isTrimming || !Number.isFinite(this.#options.bytesMax)) return;
    const partitions = [...this.#topics.values()].flatMap((topic) => topic.partitions);
    if (partitions.reduce((sum, partition) => sum + partition.byteLength, 0) <= this.#options.bytesMax) return;
    const largest = partitions
      .filter((partition) => partition.droppableBytes > 0)
      .sort((a, b) => b.byteLength - a.byteLength)[0];
    if (largest === undefined) return;
    this.#isTrimming = true;
    void largest
      .dropOldest()
      .catch((error: unknown) => this.#options.log.warn({ error: String(error) }, 'could not remove an old segment'))
      .finally(() => (this.#isTrimming = false));
  }
}
