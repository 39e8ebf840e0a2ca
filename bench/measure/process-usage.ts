/** What processes have used, from Linux' /proc: CPU time of all their threads, memory. */
import { readFileSync, readdirSync } from 'node:fs';

/** Ticks of /proc/PID/stat per second; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface CpuSeconds {
  readonly user: number;
  readonly system: number;
}

export interface ProcessUsage extends CpuSeconds {
  /** User and system time, seconds. */
  readonly cpuSeconds: number;
  /** Resident size now and at its largest so far, bytes. */
  readonly rssBytes: number;
  readonly peakRssBytes: number;
}

/** Throws when there is no such process, or no /proc. */
export function usageOf(pid: number): ProcessUsage {
  const { user, system } = timesOf(pid);
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const bytesOf = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return { user, system, cpuSeconds: user + system, rssBytes: bytesOf('VmRSS'), peakRssBytes: bytesOf('VmHWM') };
}

/** CPU seconds of several processes together. */
export function cpuSecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + usageOf(pid).cpuSeconds, 0);
}

/** CPU seconds of a process by the names of its threads, as Node gives them: `MainThread`, `WorkerThread`, `V8Worker`, … */
export function threadSeconds(pid: number): ReadonlyMap<string, number> {
  const seconds = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    let stat: string;
    try {
      stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1');
    } catch {
      continue; // ended meanwhile
    }
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    seconds.set(name, (seconds.get(name) ?? 0) + (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND);
  }
  return seconds;
}

interface Times extends CpuSeconds {
  readonly parent: number;
  /** Of children that ended and were waited for, and theirs. */
  readonly childUser: number;
  readonly childSystem: number;
}

function timesOf(pid: number): Times {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The command in brackets may hold anything, so fields are counted from behind it; utime and stime are the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const seconds = (at: number): number => Number(fields[at]) / TICKS_PER_SECOND;
  return {
    parent: Number(fields[1]),
    user: seconds(11),
    system: seconds(12),
    childUser: seconds(13),
    childSystem: seconds(14),
  };
}

/** The processes and all that descend from them, as they are now. */
export function treeOf(roots: readonly number[]): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const pid = Number(name);
      const { parent } = timesOf(pid);
      const siblings = children.get(parent);
      if (siblings === undefined) children.set(parent, [pid]);
      else siblings.push(pid);
    } catch {
      // ended meanwhile
    }
  }
  const tree: number[] = [];
  const visit = (pid: number): void => {
    tree.push(pid);
    for (const child of children.get(pid) ?? []) visit(child);
  };
  for (const root of roots) visit(root);
  return tree;
}

/**
 * Time of the processes and all that descend from them, the ended and waited for included. Processes that are gone count
 * only where a parent in the tree waited for them.
 */
export function treeCpu(roots: readonly number[]): CpuSeconds {
  let user = 0;
  let system = 0;
  for (const pid of treeOf(roots)) {
    try {
      const times = timesOf(pid);
      user += times.user + times.childUser;
      system += times.system + times.childSystem;
    } catch {
      // ended meanwhile: its parent has its times
    }
  }
  return { user, system };
}

/** Largest resident sizes so far of the processes and what descends from them, summed, bytes: an upper bound. */
export function treePeakRss(roots: readonly number[]): number {
  let sum = 0;
  for (const pid of treeOf(roots)) {
    try {
      sum += usageOf(pid).peakRssBytes;
    } catch {
      // ended meanwhile
    }
  }
  return sum;
}
