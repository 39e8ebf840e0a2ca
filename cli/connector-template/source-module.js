// @ts-check
/** @import { Feed, FeedStep, Json } from 'weir/connector' */
import { readFile } from 'node:fs/promises';
import { WeirError, defineConnector } from 'weir/connector';

const ROWS_MAX = 1000;
const POLL_MS = 1000;

/**
 * Gives the lines of a file as it grows. The cursor is how many lines were given: it is kept in the log with the rows, so
 * another worker goes on there.
 *
 * @implements {Feed}
 */
class LinesFeed {
  /** @param {string} path */
  constructor(path) {
    this.path = path;
  }

  /**
   * @param {Json} cursor
   * @param {AbortSignal} signal
   * @returns {Promise<FeedStep>}
   */
  async next(cursor, signal) {
    signal.throwIfAborted();
    const from = typeof cursor === 'number' ? cursor : 0;
    const lines = (await this.read()).split('\n').slice(0, -1);
    const given = lines.slice(from, from + ROWS_MAX);
    // The line's number tells rows apart for good.
    const rows = given.map((line, index) => ({ id: String(from + index), value: new TextEncoder().encode(line) }));
    const end = from + rows.length;
    const caughtUp = end >= lines.length;
    return { rows, cursor: end, waitMs: caughtUp ? POLL_MS : 0, caughtUp };
  }

  async read() {
    try {
      return await readFile(this.path, 'utf8');
    } catch (cause) {
      throw new WeirError('SOURCE_UNAVAILABLE', `${this.path} cannot be read.`, { cause });
    }
  }

  async close() {}
}

/** The connector NAME. */
export default defineConnector({
  openSource: ({ options }) => new LinesFeed(String(options['path'])),
});
