/** Options that the benches of the suite share. */
import { parseArgs } from 'node:util';

export const peerNames = ['spark', 'spark35', 'flink', 'kafka-streams', 'bento'] as const;
export type PeerName = (typeof peerNames)[number];

export interface SuiteOptions {
  readonly records: number;
  readonly rounds: number;
  /** After so many minutes no round begins any more but the first; Infinity unless something is said. */
  readonly minutes: number;
  /** Empty: Weir alone. */
  readonly peers: readonly PeerName[];
  /** False: the peers alone. */
  readonly weir: boolean;
  readonly partitions: number;
  readonly seed: number;
  /** Threads of Weir's worker; null = one per core. */
  readonly threads: number | null;
  /** Records per second of latency runs. */
  readonly rates: readonly number[];
  /** Seconds that count in a latency run, and those before them that do not. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Which parts of a bench that has several; empty: all. */
  readonly only: readonly string[];
  /** Guard: writes the baseline instead of comparing with it. */
  readonly update: boolean;
}

export interface SuiteDefaults {
  readonly records?: number;
  readonly rounds?: number;
  readonly partitions?: number;
  readonly rates?: readonly number[];
  readonly seconds?: number;
  readonly warmUpSeconds?: number;
  /** Peers that this bench can run. */
  readonly peers: readonly PeerName[];
}

/** Throws a TypeError for what does not exist. */
export function parseSuiteOptions(args: readonly string[], defaults: SuiteDefaults): SuiteOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      records: { type: 'string' },
      rounds: { type: 'string' },
      minutes: { type: 'string' },
      peer: { type: 'string', multiple: true },
      'no-weir': { type: 'boolean', default: false },
      partitions: { type: 'string' },
      seed: { type: 'string', default: '1' },
      threads: { type: 'string' },
      rates: { type: 'string' },
      seconds: { type: 'string' },
      'warm-up': { type: 'string' },
      only: { type: 'string' },
      update: { type: 'boolean', default: false },
    },
  });
  const asked = (values.peer ?? []).flatMap(listOf);
  const peers = asked.map((name) => {
    const peer = defaults.peers.find((known) => known === name);
    if (peer !== undefined) return peer;
    const possible = defaults.peers.length === 0 ? 'has no peers' : `runs against ${defaults.peers.join(', ')}`;
    throw new TypeError(`there is no peer ${name} here: this bench ${possible}`);
  });
  const number = (name: keyof typeof values, fallback: number): number => {
    const text = values[name];
    return typeof text === 'string' ? wholeNumber(name, text) : fallback;
  };
  return {
    records: number('records', defaults.records ?? 0),
    rounds: number('rounds', defaults.rounds ?? 3),
    minutes: number('minutes', Number.POSITIVE_INFINITY),
    peers,
    weir: !values['no-weir'],
    partitions: number('partitions', defaults.partitions ?? 4),
    seed: number('seed', 1),
    threads: values.threads === undefined ? null : wholeNumber('threads', values.threads),
    rates:
      values.rates === undefined
        ? (defaults.rates ?? [])
        : listOf(values.rates).map((rate) => wholeNumber('rates', rate)),
    seconds: number('seconds', defaults.seconds ?? 30),
    warmUpSeconds: number('warm-up', defaults.warmUpSeconds ?? 10),
    only: values.only === undefined ? [] : listOf(values.only),
    update: values.update,
  };
}

function listOf(text: string): string[] {
  return text.split(',').filter((word) => word !== '');
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text.replaceAll('_', ''));
  if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`--${name} is ${text}; it takes a whole number`);
  return value;
}
