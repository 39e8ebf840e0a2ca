/** All partitions that a worker reads for one stateful job, and what it tells the master of them. */
import type { Clock } from '../../core/clock.ts';
import { isWeirError } from '../../core/errors.ts';
import type { LaneId, Offset } from '../../core/ids.ts';
import { parseLaneId } from '../../core/ids.ts';
import type { PartitionEnd } from '../../proto/gen/control.ts';
import type { OpenJob } from './open-job.ts';
import type { Mark } from './partition-feed.ts';
import { PartitionFeed } from './partition-feed.ts';
import type { RangePiece } from './read-range.ts';
import { readPieces } from './read-range.ts';

/** Reports follow each other no closer, ms. */
const REPORT_INTERVAL_MS = 5;
/**
 * The same while every partition has more left to read than was read ahead, and there is something to do: the longer an
 * epoch waits, the more records share what it costs by itself.
 */
const BACKLOG_INTERVAL_MS = 50;
/** An end of a log that is told to somebody new was seen no longer ago, ms. */
const FRESH_MS = 500;
/** Marks of one partition in one report. */
const MARKS_MAX = 64;
/** Bytes read ahead over all partitions, unless each has less than the least. */
const AHEAD_BYTES_MAX = 16 << 20;
const FEED_BYTES_MIN = 1 << 20;

export interface FeedsParts {
  readonly open: OpenJob;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Bytes read ahead of one partition. */
  readonly feedBytesMax: number;
  readonly report: (ends: PartitionEnd[]) => void;
  readonly onFetched: (source: string, bytes: number) => void;
  /** One of so many partitions could not be read on for so long, ms. */
  readonly onBlocked: (ms: number, partitions: number) => void;
}

interface Followed {
  readonly feed: PartitionFeed;
  readonly leave: AbortController;
  readonly done: Promise<void>;
  /** Up to here marks were told. */
  told: number;
}

export class PartitionFeeds {
  readonly #parts: FeedsParts;
  readonly #feeds = new Map<LaneId, Followed>();
  /** Partitions that cannot even be begun. */
  readonly #refused = new Map<LaneId, PartitionEnd>();
  readonly #news = new Set<LaneId>();
  /** Ranges of which not all was taken. */
  #reading = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;
  /** What the report that is due keeps from the last one, ms. */
  #interval = REPORT_INTERVAL_MS;
  #cancelReport: (() => void) | null = null;

  constructor(parts: FeedsParts) {
    this.#parts = parts;
  }

  /** What is read, for metrics: offsets read and ends of logs. */
  *positions(): Generator<{ readonly lane: LaneId; readonly readOffset: Offset; readonly logEnd: number }> {
    for (const [lane, { feed }] of this.#feeds) yield { lane, readOffset: feed.readOffset, logEnd: feed.logEnd };
  }

  /** Begins to read ahead of a partition, unless it is read already. */
  follow(lane: LaneId, from: Offset): void {
    if (this.#feeds.has(lane)) return;
    const { open, signal, onFetched, onBlocked, feedBytesMax } = this.#parts;
    const leave = new AbortController();
    const { source } = parseLaneId(lane);
    try {
      const feed = new PartitionFeed({
        ...open.reading(lane, 'ahead', AbortSignal.any([signal, leave.signal])),
        lane,
        from,
        bytesMax: () =>
          Math.min(feedBytesMax, Math.max(FEED_BYTES_MIN, Math.floor(AHEAD_BYTES_MAX / this.#feeds.size))),
        onNews: () => this.#tell(lane),
        onFetched: (bytes) => onFetched(source, bytes),
        onBlocked: (ms) => onBlocked(ms, this.#feeds.size),
      });
      this.#feeds.set(lane, { feed, leave, done: feed.run(), told: -1 });
    } catch (error) {
      if (!isWeirError(error)) throw error;
      const { code, message } = error;
      this.#refused.set(lane, { lane, offsets: [], timestampsMs: [], logEnd: -1, code, message, recordBytes: 0 });
      this.#tell(lane);
    }
  }

  /**
   * Nothing below is asked for: others have read it. A partition that is read ahead for later would else be full of it,
   * and nobody would hear of what comes.
   */
  release(lane: LaneId, position: Offset): void {
    this.#feeds.get(lane)?.feed.release(position);
  }

  /** Reads none but these any more. */
  keep(lanes: ReadonlySet<LaneId>): void {
    for (const [lane, { leave }] of this.#feeds) {
      if (lanes.has(lane)) continue;
      leave.abort();
      this.#feeds.delete(lane);
    }
    for (const lane of this.#refused.keys()) if (!lanes.has(lane)) this.#refused.delete(lane);
  }

  /**
   * A range piece by piece, from what is read ahead or from the source. Later ranges come after it.
   *
   * Throws: what reading ran into, the signal's reason.
   */
  async *read(lane: LaneId, from: Offset, to: Offset, signal: AbortSignal): AsyncGenerator<RangePiece> {
    const feed = this.#feeds.get(lane)?.feed;
    this.#reading += 1;
    try {
      let at = from;
      while (feed !== undefined && at < to) {
        const piece = await feed.next(at, to, signal);
        if (piece === null) break;
        at = piece.next;
        feed.release(at);
        yield piece;
      }
      if (at >= to) return;
      feed?.release(to);
      yield* readPieces(this.#parts.open.reading(lane, 'known', signal), at, to);
    } finally {
      this.#reading -= 1;
      // What waited to be told is to be planned now.
      if (this.#reading === 0 && this.#news.has(lane)) this.#tell(lane);
    }
  }

  /** Tells everything once more: to a master that knows nothing yet. */
  tellAll(): void {
    for (const followed of this.#feeds.values()) {
      followed.told = -1;
      followed.feed.tellAnew(FRESH_MS);
    }
    for (const lane of this.#refused.keys()) this.#tell(lane);
  }

  /** An epoch is mapped: what the next one may read is told with that, unless it may as well become larger first. */
  tellNow(): void {
    if (this.#news.size === 0 || this.#mayWait()) return;
    this.#cancelReport?.();
    this.#report();
  }

  async close(): Promise<void> {
    this.#cancelReport?.();
    for (const { leave } of this.#feeds.values()) leave.abort();
    await Promise.all([...this.#feeds.values()].map(({ done }) => done));
  }

  #tell(lane: LaneId): void {
    this.#news.add(lane);
    const interval = this.#mayWait() ? BACKLOG_INTERVAL_MS : REPORT_INTERVAL_MS;
    if (this.#cancelReport !== null) {
      if (interval >= this.#interval) return;
      this.#cancelReport();
    }
    this.#interval = interval;
    const { clock } = this.#parts;
    const wait = this.#reportedAt + interval - clock.mono();
    // Not within the call: a feed that is being made is not among the feeds yet.
    this.#cancelReport = clock.timer(Math.max(0, wait), () => this.#report());
  }

  /** An epoch may as well become larger first. */
  #mayWait(): boolean {
    let hasRoom = this.#reading > 0;
    for (const { feed } of this.#feeds.values()) {
      if (!feed.isFarBehind) return false;
      hasRoom ||= feed.hasRoom;
    }
    return hasRoom && this.#refused.size === 0;
  }

  #report(): void {
    this.#cancelReport = null;
    this.#reportedAt = this.#parts.clock.mono();
    const ends = [...this.#news].flatMap((lane) => this.#endOf(lane));
    this.#news.clear();
    if (ends.length > 0) this.#parts.report(ends);
  }

  #endOf(lane: LaneId): PartitionEnd[] {
    const followed = this.#feeds.get(lane);
    if (followed === undefined) {
      const refused = this.#refused.get(lane);
      return refused === undefined ? [] : [refused];
    }
    const { feed, told } = followed;
    const marks = thinned(feed.marksBehind(told));
    followed.told = marks.at(-1)?.offset ?? told;
    return [
      {
        lane,
        offsets: marks.map(({ offset }) => offset),
        timestampsMs: marks.map(({ timestampMs }) => timestampMs),
        logEnd: feed.logEnd,
        code: feed.wall?.code ?? (feed.isStale ? 'SOURCE_UNAVAILABLE' : ''),
        message: feed.wall?.message ?? '',
        recordBytes: feed.recordBytes,
      },
    ];
  }
}

/** Evenly spread, the last one always: record times up to a mark stay true when marks between are left out. */
function thinned(marks: readonly Mark[]): Mark[] {
  const step = Math.ceil(marks.length / MARKS_MAX);
  return step <= 1 ? [...marks] : marks.filter((_, index) => (marks.length - 1 - index) % step === 0);
}
