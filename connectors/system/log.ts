/** Structured logs: one JSON line per event on stderr, or lines for people on a terminal. */
import { pino } from 'pino';
import type { Log } from '../../core/ports.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** `role` stands in every line: master, worker, embedded. */
export function makeLog(role: string, level: LogLevel = 'info'): Log {
  return pino(
    {
      base: { role, pid: process.pid },
      level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
