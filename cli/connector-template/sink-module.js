// @ts-check
/** @import { BatchPart, RowBatch, RowSink, SinkStats, WritePermit } from 'weir/connector' */
import { appendFile } from 'node:fs/promises';
import { WeirError, defineConnector } from 'weir/connector';

/**
 * Appends rows to a file. A batch that comes again, after a crash, is appended again: at least once. For exactly once,
 * keep the batch's place (`batch.place`) with the rows, in one transaction, and leave out what is there.
 *
 * @implements {RowSink}
 */
class LinesSink {
  /** @param {string} path */
  constructor(path) {
    this.path = path;
    this.inFlight = 0;
  }

  /**
   * @param {RowBatch} batch
   * @param {WritePermit} permit
   */
  async write({ parts }, permit) {
    this.inFlight++;
    try {
      for (const part of parts) await this.append(part, permit);
    } finally {
      this.inFlight--;
    }
  }

  /**
   * @param {BatchPart} part
   * @param {WritePermit} permit
   */
  async append({ bytes, rowCount }, permit) {
    if (rowCount === 0) return;
    // Before every try: another worker may have been given the partition.
    permit.check();
    try {
      await appendFile(this.path, bytes);
    } catch (cause) {
      throw new WeirError('SINK_UNAVAILABLE', `${this.path} cannot be written.`, { cause });
    }
  }

  /** @returns {SinkStats} */
  stats() {
    return { inFlight: this.inFlight, retries: 0, blockedBy: null };
  }

  async close() {}
}

/** The connector NAME. */
export default defineConnector({
  openSink: ({ options }) => new LinesSink(String(options['path'])),
});
