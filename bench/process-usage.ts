/** What a process has used, from Linux' /proc: CPU time of all its threads, memory. */
import { readFileSync } from 'node:fs';

/** Ticks of /proc/PID/stat per second; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface ProcessUsage {
  /** User and system time, seconds. */
  readonly cpuSeconds: number;
  /** Resident size now and at its largest so far, bytes. */
  readonly rssBytes: number;
  readonly peakRssBytes: number;
}

/** Throws when there is no such process, or no /proc. */
export function usageOf(pid: number): ProcessUsage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The command in brackets may hold anything, so fields are counted from behind it; utime and stime are the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const bytesOf = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return { cpuSeconds: ticks / TICKS_PER_SECOND, rssBytes: bytesOf('VmRSS'), peakRssBytes: bytesOf('VmHWM') };
}

/** CPU seconds of several processes together. */
export function cpuSecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + usageOf(pid).cpuSeconds, 0);
}
