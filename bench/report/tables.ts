/** Tables of the stored results, in Markdown. */
import type { Line } from '../throughput.ts';
import type { Results } from './goals.ts';
import { latencyLine, lineOf, numberOf } from './goals.ts';

export type Row = readonly string[];

export function table(head: Row, rows: readonly Row[]): string {
  const text = (row: Row): string => `| ${row.join(' | ')} |`;
  return [text(head), text(head.map(() => '---')), ...rows.map(text)].join('\n');
}

/** With thousands separated; a dash for what is not there. */
export function shown(value: number | undefined, digits = 0): string {
  if (value === undefined) return '-';
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** What a line's checks found, shortened. */
export function checked(line: Line): string {
  const problems = line['problems'];
  if (!Array.isArray(problems)) return '-';
  return problems.length === 0 ? 'right' : `**wrong**: ${String(problems[0]).slice(0, 160).replaceAll('|', '/')}`;
}

const names: Readonly<Record<string, string>> = {
  weir: 'Weir',
  floor: 'floor',
  spark: 'Spark 4',
  spark35: 'Spark 3.5',
  'kafka-streams': 'Kafka Streams',
  bento: 'Bento',
};

export function systemName(line: Line): string {
  const system = String(line['system']);
  return names[system] ?? system;
}

function systemLines(results: Results, name: string): readonly Line[] {
  return (results.get(name)?.lines ?? []).filter((line) => line['system'] !== undefined);
}

/** One row per system. */
export function throughputTable(results: Results, name: string): string {
  const lines = systemLines(results, name);
  const ours = lines.find((line) => line['system'] === 'weir');
  const head = [
    'system',
    'records per CPU-s, warm',
    'in total',
    'Weir to it, warm (total)',
    'records per s, warm',
    'in total',
    'CPU-s: user + system',
    'CPU-s of the servers',
    'peak MB',
    'ready s',
    'first record s',
    'rounds',
    "others' cores",
    'values',
  ];
  const rows = lines.map((line): Row => {
    if (line['missing'] !== undefined)
      return [systemName(line), String(line['missing']), ...head.slice(2).map(() => '')];
    const of = (figure: string, digits = 0): string => shown(numberOf(line, figure), digits);
    const ratio = (figure: string): string => {
      const own = ours === undefined ? undefined : numberOf(ours, figure);
      const theirs = numberOf(line, figure);
      return own === undefined || theirs === undefined ? '-' : shown(own / theirs, 1);
    };
    const ratios =
      line['system'] === 'weir' ? '' : `${ratio('recordsPerCpuSecondWarm')} (${ratio('recordsPerCpuSecond')})`;
    return [
      systemName(line),
      of('recordsPerCpuSecondWarm'),
      of('recordsPerCpuSecond'),
      ratios,
      of('recordsPerSecondWarm'),
      of('recordsPerSecond'),
      `${of('cpuUserSeconds', 1)} + ${of('cpuSystemSeconds', 1)}`,
      of('serverCpuSeconds', 1),
      of('peakRssMb'),
      of('readySeconds', 1),
      of('firstRecordSeconds', 1),
      of('rounds'),
      of('foreignCores', 2),
      checked(line),
    ];
  });
  return table(head, rows);
}

/** Where Weir's CPU goes, of the last round; empty when it is not known. */
export function partsOf(results: Results, name: string): string {
  return partsIn(lineOf(results, name, { system: 'weir' }));
}

function partsIn(line: Line | undefined): string {
  const parts = line?.['warmMicrosPerRecord'];
  if (typeof parts !== 'object' || parts === null) return '';
  return Object.entries(parts)
    .map(([part, micros]) => `${part} ${shown(Number(micros), 2)}`)
    .join(', ');
}

/** Of each round, so that the spread is seen. */
export function roundsOf(results: Results, name: string): string {
  return systemLines(results, name)
    .filter((line) => Array.isArray(line['warmOfEachRound']))
    .map(
      (line) =>
        `${systemName(line)} ${(line['warmOfEachRound'] as readonly number[]).map((of) => shown(of)).join(', ')}`,
    )
    .join('; ');
}

/** Name, version and setting of every system of a bench. */
export function versionsOf(results: Results, name: string): readonly string[] {
  return systemLines(results, name)
    .filter((line) => line['version'] !== undefined)
    .map((line) => `${systemName(line)}: ${String(line['version'])}`);
}

const shapes = ['topic', 'stateless', 'window', 'dedup', 'state', 'table'] as const;
const rates = [1000, 10_000, 100_000] as const;
const systems = ['floor', 'weir', 'spark', 'kafka-streams'] as const;

export function latencyTable(results: Results): string {
  const rows = rates.flatMap((rate) =>
    shapes.flatMap((shape) =>
      systems.flatMap((system): Row[] => {
        const line = latencyLine(results, shape, rate, system);
        if (line === undefined) return [];
        const of = (figure: string): string => shown(numberOf(line, figure), 1);
        return [
          [
            shown(rate),
            shape,
            systemName(line),
            of('p50Ms'),
            of('p90Ms'),
            of('p99Ms'),
            of('p999Ms'),
            of('maxMs'),
            shown(numberOf(line, 'cpuSecondsPerSecond'), 2),
            shown(numberOf(line, 'foreignCores'), 2),
            checked(line),
          ],
        ];
      }),
    ),
  );
  return table(
    ['records/s', 'shape', 'system', 'p50 ms', 'p90', 'p99', 'p99.9', 'max', 'its cores', "others' cores", 'results'],
    rows,
  );
}

export function nexmarkTable(results: Results): string {
  const rows = (results.get('nexmark')?.lines ?? []).flatMap((line): Row[] => {
    if (line['query'] === undefined) return [];
    const of = (figure: string): string => shown(numberOf(line, figure));
    return [
      [
        String(line['query']),
        of('eventsPerCpuSecondWarm'),
        of('eventsPerCpuSecond'),
        of('eventsPerSecond'),
        of('peakRssMb'),
        of('goal'),
        checked(line),
      ],
    ];
  });
  return table(['query', 'events per CPU-s, warm', 'in total', 'events per s', 'peak MB', 'goal', 'answer'], rows);
}

export function startTable(results: Results): string {
  const line = lineOf(results, 'start', { bench: 'start' });
  const of = (figure: string): string => shown(numberOf(line, figure), 3);
  return table(
    ['from', 'until', 's, median'],
    [
      ['start of `weir master` and `weir worker`', 'the worker takes work', of('processesReadySeconds')],
      ['submit', 'the first row is committed', of('submitToFirstRowSeconds')],
      ['`npm start`', "the first row of the example's job", of('npmStartToFirstRowSeconds')],
    ],
  );
}

export function scaleTable(results: Results): string {
  const rows = systemLines(results, 'scale').map((line): Row => [
    String(line['workers']),
    shown(numberOf(line, 'cpuUsPerRecordWarm'), 3),
    partsIn(line),
    shown(numberOf(line, 'recordsPerSecond')),
    shown(numberOf(line, 'peakRssMb')),
    checked(line),
  ]);
  return table(
    [
      'workers of one thread',
      'CPU µs per record, warm',
      'of it, last round',
      'records per s',
      'peak MB, all processes',
      'values',
    ],
    rows,
  );
}

export function memoryTable(results: Results): string {
  const rows = systemLines(results, 'memory').map((line): Row => {
    const quarters = Array.isArray(line['atQuarters'])
      ? (line['atQuarters'] as readonly (Line | undefined)[])
          .map((sample) => shown(numberOf(sample, 'rssMb')))
          .join(', ')
      : '-';
    return [
      String(line['part']),
      shown(numberOf(line, 'records')),
      shown(numberOf(line, 'offeredToTaken'), 1),
      shown(numberOf(line, 'workerPeakRssMb')),
      quarters,
      shown(numberOf(line, 'ratio'), 2),
      shown(numberOf(line, 'masterPeakRssMb')),
      checked(line),
    ];
  });
  return table(
    [
      'part',
      'records read',
      'offered to taken',
      'worker: peak MB',
      'at the quarters',
      'second half to quarter before',
      'master: peak MB',
      'check',
    ],
    rows,
  );
}

export function pathTable(results: Results): string {
  const steps = (lineOf(results, 'path', { system: 'weir' })?.['steps'] ?? {}) as Readonly<Record<string, number>>;
  const rows = Object.entries(steps).map(([step, nanos]): Row => [step, shown(nanos)]);
  return table(['step', 'ns per record'], rows);
}

export function guardTable(results: Results): string {
  const line = lineOf(results, 'guard', { system: 'weir' });
  const figures = (line?.['figures'] ?? {}) as Readonly<Record<string, number>>;
  const baseline = (line?.['baseline'] ?? {}) as Readonly<Record<string, number>>;
  const rows = Object.keys(figures).map((name): Row => [name, shown(figures[name], 1), shown(baseline[name], 1)]);
  return table(['figure', 'now', 'baseline'], rows);
}
