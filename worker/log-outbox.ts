/** What of this worker's log the master has not been sent yet. */
import type { LogRing } from '../core/telemetry/log-ring.ts';
import type { WorkerLogs } from '../proto/gen/control.ts';

/** Sent at a time: with two heartbeats a second, four hundred lines a second. What comes faster, the ring forgets. */
const LINES_MAX = 200;
/** Of texts sent at a time. */
const LENGTH_MAX = 512 * 1024;

export class LogOutbox {
  readonly #ring: LogRing;
  /** Number of the last line that was sent. */
  #sent = 0;

  /** `ring` takes secrets of this worker out, which the master does not know. */
  constructor(ring: LogRing) {
    this.#ring = ring;
  }

  /** Lines since the last call, as many as fit; null = there are none. */
  take(): WorkerLogs | null {
    const { first, lines } = this.#ring.since(this.#sent, LINES_MAX);
    const sent: WorkerLogs['lines'] = [];
    let length = 0;
    for (const { at, level, job, message, fields } of lines) {
      const line = {
        at,
        level,
        job: job ?? '',
        message,
        fields: JSON.stringify(fields),
      };
      length += line.message.length + line.fields.length;
      if (sent.length > 0 && length > LENGTH_MAX) break;
      sent.push(line);
    }
    if (sent.length === 0) return null;
    this.#sent = first + sent.length - 1;
    return { first, lines: sent };
  }

  /** From the oldest line on: another master listens, or the same one again. */
  rewind(): void {
    this.#sent = 0;
  }
}
