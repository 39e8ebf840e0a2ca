/** Structured logs: one JSON line per event on stderr, or lines for people on a terminal. */
import { pino } from 'pino';
import type { Log } from '../../core/ports.ts';
import { makeRedactor, secretsIn } from '../../core/security/redact.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** `role` stands in every line: master, worker, embedded. Secrets of the environment never do. */
export function makeLog(role: string, level: LogLevel = 'info'): Log {
  const redact = makeRedactor(secretsIn(process.env));
  const destination = pino.destination({ dest: 2, sync: true });
  return pino(
    {
      base: { role, pid: process.pid },
      level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => destination.write(redact(line)) },
  );
}
