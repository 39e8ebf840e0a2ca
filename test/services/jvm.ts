/** How the JVM of a server runs. */

/**
 * `test`: up as soon as can be, with little memory and few threads. `service`: as the server's own start script runs it, at
 * its best once it is warm.
 */
export type JvmUse = 'test' | 'service';

/** Garbage collector and compiler; the longest pause is what the server's own start script asks for. */
export function jvmFlags(use: JvmUse, pauseMsMax: number): string[] {
  if (use === 'service') return ['-XX:+UseG1GC', `-XX:MaxGCPauseMillis=${pauseMsMax}`];
  return ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
}
