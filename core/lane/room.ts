/** Whether a lane reads on: what it has in flight is bounded, and worth a request to the sinks. */

export interface LaneLimits {
  /** Bytes asked of one fetch. */
  readonly fetchBytes: number;
  /** Fetched bytes that may wait for acknowledgement. */
  readonly inFlightBytes: number;
  readonly inFlightChunks: number;
  /** Of these, chunks that may wait for their stage: enough to keep a thread busy. More would only fill memory. */
  readonly unprocessedChunks: number;
  /**
   * As long as the chunks in flight have fewer than `smallChunkBytes` on average, no more than so many: what comes
   * meanwhile is one chunk then. A chunk costs each sink a request, however few its records are, and many of them queue
   * up there: every record would wait longer for it.
   */
  readonly smallChunks: number;
  readonly smallChunkBytes: number;
  /**
   * Bytes of a partition's batches that are one task of a job with state; default: 4 MB. What is added up within a task is
   * sent as one row, so that every worker of a cluster must have the same.
   */
  readonly taskBytes?: number;
}

/** Of one lane. */
export interface InFlight {
  /** As fetched, of chunks that are not acknowledged. */
  readonly bytes: number;
  /** Chunks that are not acknowledged. */
  readonly chunks: number;
  /** Of these, chunks whose stage has not run. */
  readonly unprocessed: number;
}

export function hasRoom({ bytes, chunks, unprocessed }: InFlight, limits: LaneLimits): boolean {
  if (bytes >= limits.inFlightBytes || chunks >= limits.inFlightChunks || unprocessed >= limits.unprocessedChunks)
    return false;
  return chunks < limits.smallChunks || bytes >= chunks * limits.smallChunkBytes;
}
