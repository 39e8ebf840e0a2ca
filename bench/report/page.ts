/** Writes bench/RESULTS.md from the stored results. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { lineOf, goalsOf } from './goals.ts';
import type { Goal, Results } from './goals.ts';
import type { StoredResult } from './stored.ts';
import { resultsDirectory, savedResults } from './stored.ts';
import {
  guardTable,
  latencyTable,
  memoryTable,
  nexmarkTable,
  partsOf,
  pathTable,
  roundsOf,
  scaleTable,
  shown,
  startTable,
  table,
  throughputTable,
  versionsOf,
} from './tables.ts';

const page = fileURLToPath(new URL('../RESULTS.md', import.meta.url));

/** A section of the page: what its bench does and its figures. */
interface Section {
  /** Of the stored result; the second one may be missing. */
  readonly from: readonly string[];
  readonly title: string;
  readonly about: string;
  readonly body: (results: Results) => string;
}

const throughput = (name: string, about: string): Section => ({
  from: [name],
  title: name,
  about,
  body: (results) =>
    `${throughputTable(results, name)}\n\nRecords per CPU-second, warm, of each round: ${roundsOf(results, name)}.${whereTo(
      partsOf(results, name),
    )}\n\n${versionsOf(results, name)
      .map((version) => `* ${version}`)
      .join('\n')}`,
});

function whereTo(parts: string): string {
  return parts === '' ? '' : ` Weir's CPU, warm, µs per record, last round: ${parts}.`;
}

const sections: readonly Section[] = [
  throughput('noop', 'Users as JSON (460 B, 4 partitions): parse, filter, project five fields, no sink.'),
  throughput('noop-spark35', 'The same beside Spark 3.5.'),
  throughput('count', 'The same users, 10 s windows × post code, count and newest, update mode, no sink.'),
  throughput(
    'cassandra',
    'The main job: users into a table of twelve columns, key `id`. Floor: a bare writer with rows in memory, unlogged batches of 50. Bento writes batches of 20; what it and the floor do without (exactly once, timestamps of offsets, order) Weir does.',
  ),
  throughput('kafka', 'Filter, capitals, and back to a topic as JSON, at least once, not compressed.'),
  {
    from: ['latency', 'latency-rates'],
    title: 'latency',
    about:
      'Kafka → job → Kafka, five partitions, open loop: from the moment a record was due to its receipt by another process; `table`: to the acknowledgement of Cassandra. State in Cassandra, output at least once. The floor is the same consumer straight on the input topic; of `table`, a process that consumes and writes with the driver. Both servers run with G1 and all of the JIT, as their own scripts start them, and are warmed up first.',
    body: (results) => `${latencyTable(results)}\n\n${lwtLine(results)}`,
  },
  {
    from: ['nexmark'],
    title: 'nexmark',
    about: 'From JSON bytes in Kafka, no sink. Each answer is compared with plain TypeScript on 100,000 events first.',
    body: nexmarkTable,
  },
  { from: ['start'], title: 'start', about: 'Cold processes, warm page cache; medians.', body: startTable },
  {
    from: ['scale'],
    title: 'scale',
    about: 'noop on several workers of one thread, on the same cores.',
    body: scaleTable,
  },
  {
    from: ['memory'],
    title: 'memory',
    about:
      'Resident size of the worker over a backlog into nothing, and while a generator offers ten times as many records as the table takes.',
    body: memoryTable,
  },
  {
    from: ['path'],
    title: 'path',
    about:
      'CPU of one thread per record of the same users, without Kafka, messages and sinks; one step after the other, each in a process of its own.',
    body: pathTable,
  },
  {
    from: ['guard'],
    title: 'guard',
    about:
      'Bytes allocated by the work of a thread, counted with V8 in one thread so that they do not depend on load, and messages between threads.',
    body: guardTable,
  },
];

/** What no bench here measures, whatever was run. */
const neverMeasured = [
  'Flink: there is no runner for it in bench/peers.',
  'Spark 4 into Cassandra: its connector exists for Spark 3 only. Bento and Kafka Streams run where they have the feature.',
  "Spark's real-time mode, and latency of output by transactions: Spark's micro-batches and at-least-once output are what stands here.",
  'More than one machine: peers, servers, generator and Weir share the cores, which is why CPU-seconds are the main figure.',
];

function lwtLine(results: Results): string {
  const line = lineOf(results, 'latency', { system: 'weir' }) ?? lineOf(results, 'latency-rates', { system: 'weir' });
  const lwt = line?.['lwtFloorMs'] as { readonly p50?: number; readonly p99?: number } | undefined;
  return lwt === undefined
    ? ''
    : `A bare compare-and-set of Cassandra in the same run: p50 ${shown(lwt.p50, 1)} ms, p99 ${shown(lwt.p99, 1)} ms.`;
}

/** Writes bench/RESULTS.md anew from bench/results, or another page from another folder. */
export function writePage(from = resultsDirectory, to = page): void {
  writeFileSync(to, pageOf(savedResults(from)));
}

/** The whole page. */
export function pageOf(results: Results): string {
  const goals = goalsOf(results);
  const parts = [
    `# Results of the benches

Written by \`npm run bench -- all\` from bench/results/*.json; do not edit. How the benches measure:
[docs/performance.md](../docs/performance.md). Figures are medians over the rounds; "warm" leaves out what a system had read
up to its first 2 M records (of fewer than 4 M: the first half). "Others' cores" is how many cores processes other than the
system, its servers and the bench kept busy meanwhile, the host's own share included: a figure counts when it is near 0.`,
    `## Machine\n\n${machines(results)}`,
    `## Goals\n\n${goalsTable(goals)}\n\n${summary(goals)}`,
    `## Not measured\n\n${notMeasured(results)
      .map((line) => `* ${line}`)
      .join('\n')}`,
    ...sections
      .filter(({ from }) => from.some((name) => results.has(name)))
      .map((section) => sectionText(section, results)),
    repeat(results),
  ];
  return `${parts.join('\n\n')}\n`;
}

function machines(results: Results): string {
  const texts = new Map<string, string[]>();
  for (const [name, { machine }] of results) {
    const text = `${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, Node ${machine.node}`;
    texts.set(text, [...(texts.get(text) ?? []), name]);
  }
  if (texts.size === 0) return 'Nothing was run yet.';
  const servers =
    'Apache Kafka 4.1.1 and Apache Cassandra 5.0.6, one node each, 1 GB heap, on the same cores; Java 17.';
  return `${[...texts].map(([text, names]) => (texts.size === 1 ? text : `${text}: ${names.join(', ')}`)).join('\n')}. ${servers}`;
}

function goalsTable(goals: readonly Goal[]): string {
  return table(
    ['what', 'goal (stretch)', 'measured', ''],
    goals.map(({ what, goal, measured, met, digits }) => [
      what,
      goal,
      shown(measured, digits),
      met === undefined ? 'not measured' : met ? 'met' : '**missed**',
    ]),
  );
}

function summary(goals: readonly Goal[]): string {
  const count = (met: boolean | undefined): number => goals.filter((goal) => goal.met === met).length;
  return `${count(true)} met, ${count(false)} missed, ${count(undefined)} not measured.`;
}

function notMeasured(results: Results): readonly string[] {
  const absent = sections.flatMap(({ from }) => from).filter((name) => !results.has(name));
  const failed = [...results.values()].filter(({ failure }) => failure !== null);
  const missing = [...results.values()].flatMap(({ name, lines }) =>
    lines
      .filter((line) => line['missing'] !== undefined)
      .map((line) => `${name}, ${String(line['system'])}: ${String(line['missing'])}`),
  );
  return [
    ...absent.map((name) => `\`${name}\` was not run.`),
    ...failed.map(
      ({ name, failure }) => `\`${name}\` did not end well (${failure}): what stands here is what it had printed.`,
    ),
    ...missing,
    ...fewRounds(results),
    ...neverMeasured,
  ];
}

/** Benches that had no time for three rounds. */
function fewRounds(results: Results): readonly string[] {
  return ['noop', 'count', 'cassandra', 'kafka'].flatMap((name) => {
    const rounds = Number(lineOf(results, name, { system: 'weir' })?.['rounds'] ?? 3);
    return rounds < 3 ? [`Three rounds of \`${name}\`: there was time for ${rounds}.`] : [];
  });
}

function sectionText({ from, title, about, body }: Section, results: Results): string {
  const commands = from.flatMap((name) => results.get(name) ?? []).map(commandOf);
  return `## ${title}\n\n${about}\n\n${body(results)}\n\n${commands.map((command) => `    ${command}`).join('\n')}`;
}

function commandOf({ args }: StoredResult): string {
  return `npm run bench -- ${args.join(' ')}`;
}

function repeat(results: Results): string {
  const seconds = [...results.values()].map(({ name, seconds: took }) => `${name} ${Math.ceil(took / 60)}`).join(', ');
  return `## How to repeat

Node 24, Java 17 with \`javac\`, Maven, Python 3 with \`venv\`, Go for Bento; nothing else running. Peers are fetched into
\`~/.cache/weir-bench\` (\`WEIR_BENCH_CACHE\`) by the first run that names them; topics are kept there encoded: 2 GB for 4 M
users.

\`\`\`
npm run bench -- all                      # everything, 90 minutes
npm run bench -- all --budget 40m         # noop, count, cassandra and kafka, then what there is time for
npm run bench -- all --only count,guard   # these again; the page keeps the rest
npm run bench -- page                     # the page from what is stored
\`\`\`

Minutes that the benches took: ${seconds === '' ? 'none was run' : seconds}.`;
}
