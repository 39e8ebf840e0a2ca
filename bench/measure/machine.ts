/** What the machine is, and how busy it is. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';

const TICKS_PER_SECOND = 100;

/** Seconds of all cores since the machine started. */
export interface MachineSeconds {
  /** In user and system mode, of all processes. */
  readonly busy: number;
  /** Taken by the host for other machines. */
  readonly stolen: number;
}

/** From the first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, … in ticks. */
export function machineSeconds(text = readFileSync('/proc/stat', 'utf8')): MachineSeconds {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = text
    .slice(text.indexOf(' '), text.indexOf('\n'))
    .trim()
    .split(' ')
    .map(Number);
  return { busy: (user + nice + system + irq + softirq) / TICKS_PER_SECOND, stolen: steal / TICKS_PER_SECOND };
}

export interface MachineFacts {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGb: number;
  readonly node: string;
}

export function machineFacts(): MachineFacts {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
  };
}
