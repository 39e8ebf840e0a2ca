import type { Log } from '../../core/ports.ts';
import type { Simulation } from './kernel.ts';

/** A log of simulated processes: lines with virtual time in front. */
export function simLog(
  sim: Simulation,
  print: (line: string) => void,
  base: Readonly<Record<string, unknown>> = {},
): Log {
  const write =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      const { err, ...rest } = { ...base, ...fields };
      const cause = err instanceof Error ? ` ${err.stack ?? err.message}` : '';
      print(`${sim.now.toFixed(1).padStart(9)} ${level.padEnd(5)} ${message} ${JSON.stringify(rest)}${cause}`);
    };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => simLog(sim, print, { ...base, ...fields }),
  };
}
