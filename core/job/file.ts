/** A job file, YAML or JSON, as a checked JobSpec, or every mistake in it at once, each with line and column. */
import type { z } from 'zod';
import { LineCounter, isMap, isScalar, parseDocument, visit } from 'yaml';
import { childOf, knownKeys, schemasAt } from './json-schema.ts';
import type { DocumentPath, FilePosition, FilePositions } from './positions.ts';
import { documentPositions, formatPath, parsePath } from './positions.ts';
import type { JobProblem } from './problem.ts';
import { similarWord } from './similar.ts';
import type { SparkPlace } from './spark-options.ts';
import { sparkHint } from './spark-options.ts';
import { withFeedTopics } from './feed-topics.ts';
import { writeOutConnectors } from './package-connectors.ts';
import type { JobSpec } from './spec.ts';
import { jobSpecSchema } from './spec.ts';

/** Characters; a file beyond is refused unread. */
const JOB_FILE_LENGTH_MAX = 1024 * 1024;

export interface JobFile {
  /** null when there are problems. */
  readonly spec: JobSpec | null;
  /** In the order of the file. */
  readonly problems: readonly JobProblem[];
  /** For mapping problems found later (planning) to the file. */
  readonly positions: FilePositions;
}

/** Parses and checks a job file. Never throws for what the file holds. JSON is read as the YAML that it is. */
export function loadJobFile(text: string): JobFile {
  const lines = new LineCounter();
  const document = parseDocument(text.slice(0, JOB_FILE_LENGTH_MAX), {
    lineCounter: lines,
    prettyErrors: false,
    // Compares every key with every other one; unsafeKeys does it by a set.
    uniqueKeys: false,
  });
  const positions = documentPositions(text, document, lines);
  if (text.length > JOB_FILE_LENGTH_MAX)
    return refused(positions, [{ path: '', message: 'the file is larger than 1 MiB' }]);
  // Behind the first one YAML's own reading of the text is a guess, and so would be what is wrong with it.
  const [syntax] = document.errors.toSorted((a, b) => a.pos[0] - b.pos[0]);
  if (syntax !== undefined) return refused(positions, [yamlProblem(syntax, text, lines)]);
  const unsafe = unsafeKeys(document, lines);
  if (unsafe.length > 0) return refused(positions, unsafe);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch {
    return refused(positions, [{ path: '', message: 'the file repeats its anchors too often', line: 1, column: 1 }]);
  }
  if (!isMap(document.contents)) {
    return refused(positions, [
      {
        path: '',
        message: 'a job file holds one document with apiVersion, kind, name, sources, query and sinks',
        line: 1,
        column: 1,
      },
    ]);
  }
  const checked = jobSpecSchema.safeParse(writeOutConnectors(value));
  if (checked.success) return { spec: withFeedTopics(checked.data), problems: [], positions };
  const problems = checked.error.issues.flatMap((issue) => issueProblems(issue, value, positions));
  return refused(positions, mergeRenamed(problems));
}

/** Gives each problem the line and column of its place in the file, in the order of the file. */
export function locateProblems(positions: FilePositions, problems: readonly JobProblem[]): JobProblem[] {
  return inFileOrder(
    problems.map((problem) => (problem.line === undefined ? { ...problem, ...place(positions, problem) } : problem)),
  );
}

/** How much of the line a problem is about, for the caret. */
export function problemLength(positions: FilePositions, problem: JobProblem): number {
  const candidates = [place(positions, problem), positions.ofKey(parsePath(problem.path))];
  return candidates.find(({ line, column }) => line === problem.line && column === problem.column)?.length ?? 1;
}

function place(positions: FilePositions, problem: JobProblem): FilePosition {
  const path = parsePath(problem.path);
  if (problem.sqlOffset !== undefined) return positions.ofText(path, problem.sqlOffset, problem.sqlLength ?? 1);
  return positions.ofValue(path);
}

function refused(positions: FilePositions, problems: readonly JobProblem[]): JobFile {
  return { spec: null, problems: locateProblems(positions, problems), positions };
}

function inFileOrder(problems: readonly JobProblem[]): JobProblem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

function yamlProblem(
  error: { readonly code: string; readonly message: string; readonly pos: [number, number] },
  text: string,
  lines: LineCounter,
): JobProblem {
  const { line, col } = lines.linePos(error.pos[0]);
  const rest = text.slice(error.pos[0]).split('\n', 1)[0] ?? '';
  // A key that begins on the line behind counts as more of this value.
  const code = error.code === 'BLOCK_AS_IMPLICIT_KEY' && !/:\s/.test(rest) ? 'BAD_INDENT' : error.code;
  const unclosed = /end with a ([\]}])/.exec(error.message)?.[1];
  const [message, hint] =
    unclosed === undefined
      ? (yamlMessages.get(code) ?? [firstLower(error.message)])
      : [`the ${unclosed === ']' ? '[' : '{'} before this is not closed`, `a ${unclosed} is missing`];
  const place = { line: Math.max(1, line), column: Math.max(1, col) };
  return hint === undefined ? { path: '', message, ...place } : { path: '', message, hint, ...place };
}

const yamlMessages = new Map<string, readonly [message: string, hint?: string]>([
  ['TAB_AS_INDENT', ['YAML is indented with spaces, not tabs']],
  ['MULTIPLE_DOCS', ['one job per file: a second document begins here']],
  [
    'BAD_INDENT',
    [
      'the lines of a map begin at one column, and these do not',
      'keys of one map have the same number of spaces before them',
    ],
  ],
  [
    'MULTILINE_IMPLICIT_KEY',
    ['this is no key with a value', 'write KEY: VALUE, with a colon and a blank between them'],
  ],
  [
    'BLOCK_AS_IMPLICIT_KEY',
    [
      'a value on this line has a colon with a blank behind it',
      'put the value in quotes, or begin a new line for the next key',
    ],
  ],
]);

/** Of one map; more is meant to keep this process busy. */
const KEYS_MAX = 2000;

/** Keys that would reach the prototype of an object further on, keys that stand there twice, and too many of them. */
function unsafeKeys(document: ReturnType<typeof parseDocument>, lines: LineCounter): JobProblem[] {
  const problems: JobProblem[] = [];
  const tell = (offset: number | undefined, message: string): void => {
    const { line, col } = lines.linePos(offset ?? 0);
    problems.push({ path: '', message, line: Math.max(1, line), column: Math.max(1, col) });
  };
  visit(document, {
    Map(_, map) {
      if (map.items.length > KEYS_MAX) {
        tell(map.range?.[0], `a map has at most ${KEYS_MAX} keys, this one ${map.items.length}`);
        return visit.SKIP;
      }
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        if (key.value === '__proto__') tell(key.range?.[0], '__proto__ cannot be a name');
        if (seen.has(key.value)) tell(key.range?.[0], 'this key stands here twice');
        seen.add(key.value);
      }
      return undefined;
    },
  });
  return problems;
}

type Issue = z.core.$ZodIssue;

/** A trigger that is no map: what it takes, and what Spark's words for it are here. */
function triggerProblem(value: unknown): JobProblem | undefined {
  if (typeof value === 'object') return undefined;
  const problem: JobProblem = {
    path: 'trigger',
    message: `trigger is ${show(value)}; it takes asap, availableNow, manual or a duration: 10s, 1 minute`,
  };
  if (typeof value === 'number') return { ...problem, hint: `write the unit: ${value}s` };
  const text = String(value);
  const [, word = text, time] = /^(\w+)\s*[=(:]\s*['"]?([^'")]*)/.exec(text) ?? [];
  const own = ['asap', 'availableNow', 'manual'];
  const spark = own.some((known) => known.toLowerCase() === text.toLowerCase())
    ? undefined
    : sparkHint(word, ['query']);
  if (spark === undefined) return withHint(problem, text, own);
  return { ...problem, hint: time !== undefined && /^processingTime$/i.test(word) ? `write trigger: ${time}` : spark };
}

function issueProblems(issue: Issue, document: unknown, positions: FilePositions): JobProblem[] {
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  const trigger = path.length === 1 && path[0] === 'trigger' ? triggerProblem(childOf(document, 'trigger')) : undefined;
  if (trigger !== undefined) return [trigger];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(document, path, key, positions));
    case 'invalid_key':
      return [
        {
          ...at(positions.ofKey(path)),
          path: formatPath(path),
          message: issue.issues[0]?.message ?? 'the name is wrong',
        },
      ];
    case 'invalid_union':
      if (issue.errors.length > 0) return unionProblems(issue, document, positions);
      break;
    default:
  }
  return [misspeltKey(issue, document, path, positions) ?? describe(issue, document, path)];
}

/** An option that is missing, where one stands that is called nearly so. */
function misspeltKey(
  issue: Issue,
  document: unknown,
  path: DocumentPath,
  positions: FilePositions,
): JobProblem | undefined {
  const option = path.at(-1);
  const parent = path.slice(0, -1);
  const there = parent.reduce(childOf, document);
  if (issue.code !== 'invalid_union' || typeof option !== 'string' || typeof there !== 'object' || there === null)
    return undefined;
  if (Object.hasOwn(there, option)) return undefined;
  const key = similarWord(option, Object.keys(there));
  return key === undefined
    ? undefined
    : {
        path: formatPath([...parent, key]),
        message: `${formatPath(parent)} has no option ${key}`,
        hint: `did you mean ${option}?`,
        ...at(positions.ofKey([...parent, key])),
      };
}

function at(position: FilePosition): { line: number; column: number } {
  return { line: position.line, column: position.column };
}

function unknownKey(document: unknown, path: DocumentPath, key: string, positions: FilePositions): JobProblem {
  const keys = knownKeys(document, path);
  const present = new Set(Object.keys((path.reduce(childOf, document) as object | undefined) ?? {}));
  const meant =
    similarWord(
      key,
      keys.filter((known) => !present.has(known)),
    ) ?? similarWord(key, keys);
  const full = [...path, key];
  const isNear = meant !== undefined && meant.toLowerCase() === key.toLowerCase();
  const spark = isNear ? undefined : sparkHint(key, sparkPlaces(document, path));
  return {
    path: formatPath(full),
    message: `${path.length === 0 ? 'a job' : formatPath(path)} has no option ${key}`,
    hint:
      spark ??
      otherWords.get(`${String(path[0] ?? '')}.${key.toLowerCase()}`) ??
      (meant === undefined
        ? `options here: ${keys.filter((known) => !known.startsWith('$')).join(', ')}`
        : `did you mean ${meant}?`),
    ...at(positions.ofKey(full)),
  };
}

/** Words of other systems, behind the part of the file that they stand in. */
const otherWords = new Map([
  ['.sql', 'the SQL stands at query:'],
  ['.select', 'the SQL stands at query:'],
  ['.parallelism', 'the number of workers is set on the job that runs: weir scale JOB --parallelism N'],
  ['.watermark', 'it belongs to a source: sources: { clicks: { …, watermark: { column: ts, delay: 10s } } }'],
  ['.keyspace', 'it belongs to a sink: sinks: [{ connector: cassandra, keyspace: …, table: … }]'],
  ['.topic', 'it belongs to a source or a sink'],
  ['sinks.mode', 'it belongs to the job: outputMode: append'],
  ['sinks.outputmode', 'it belongs to the job: outputMode: append'],
  ['sources.table', 'what is no stream stands at tables: of the job'],
]);

/** Whose options of Spark somebody may have had in mind there. */
function sparkPlaces(document: unknown, path: DocumentPath): SparkPlace[] {
  if (path.length === 0) return ['query'];
  const connector = childOf(path.reduce(childOf, document), 'connector');
  if (path[0] === 'sources') return ['kafkaSource', 'query'];
  return [connector === 'cassandra' ? 'cassandraSink' : 'kafkaSink', 'query'];
}

/** Of the alternatives of a union, the one that fits the kind of value the user wrote speaks. */
function unionProblems(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  document: unknown,
  positions: FilePositions,
): JobProblem[] {
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  const offsets = path.at(-1) === 'startingOffsets' ? path.reduce(childOf, document) : undefined;
  if (typeof offsets === 'object' && offsets !== null && !Object.hasOwn(offsets, 'timestamp'))
    return [
      {
        path: formatPath(path),
        message: `${formatPath(path)} is ${show(offsets)}; it takes earliest, latest or { timestamp: … }`,
        hint: 'for offsets of partitions: weir offsets set JOB TOPIC:PARTITION=OFFSET, when the job is submitted and stopped',
      },
    ];
  const [nested] = issue.errors
    .filter((alternative) => alternative.some((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys'))
    .toSorted((a, b) => misfit(a) - misfit(b));
  if (nested !== undefined) {
    return nested.flatMap((inner) =>
      issueProblems({ ...inner, path: [...issue.path, ...inner.path] }, document, positions),
    );
  }
  const options = issue.errors.flatMap((alternative) => alternative.map((inner) => wanted(inner)));
  const value = path.reduce(childOf, document);
  const words = issue.errors.flatMap((alternative) =>
    alternative.flatMap((inner) => (inner.code === 'invalid_value' ? inner.values.map(String) : [])),
  );
  return [
    withHint(
      {
        path: formatPath(path),
        message: `${formatPath(path)} is ${show(value)}; it takes ${[...new Set(options)].join(', or ')}`,
      },
      value,
      words,
    ),
  ];
}

/** Options that an alternative does not know tell more against it than what it finds wrong with those it does. */
function misfit(alternative: readonly Issue[]): number {
  const unknown = alternative.flatMap((inner) => (inner.code === 'unrecognized_keys' ? inner.keys : []));
  return unknown.length * 100 + alternative.length;
}

function describe(issue: Issue, document: unknown, path: DocumentPath): JobProblem {
  const name = formatPath(path);
  const value = path.reduce(childOf, document);
  if (value === undefined && issue.code !== 'custom') {
    const option = issue.code === 'invalid_union' ? issue.discriminator : undefined;
    const choices = option === undefined ? wanted(issue) : `one of ${connectors(document, path).join(', ')}`;
    const about = schemasAt(document, path)[0]?.description;
    return {
      path: name,
      message: `${name} is missing; it takes ${choices}`,
      ...(about === undefined ? {} : { hint: firstLower(about) }),
    };
  }
  if (issue.code === 'invalid_union') {
    const known = connectors(document, path);
    return withHint(
      { path: name, message: `${name} is ${show(value)}; it takes one of ${known.join(', ')}` },
      value,
      known,
    );
  }
  if (issue.code === 'invalid_value') {
    return withHint(
      { path: name, message: `${name} is ${show(value)}; it takes ${wanted(issue)}` },
      value,
      issue.values.map(String),
    );
  }
  if (issue.code === 'invalid_type') {
    const problem = { path: name, message: `${name} is ${show(value)}; it takes ${wanted(issue)}` };
    const shape = shapes.get(String(path.at(-1)));
    return shape === undefined ? problem : { ...problem, hint: shape };
  }
  return { path: name, message: `${name === '' ? '' : `${name}: `}${firstLower(issue.message)}` };
}

/** How options are written that people write in other shapes. */
const shapes = new Map([
  ['sources', 'each has a name, that of the query: sources: { clicks: { connector: kafka, topic: clicks, … } }'],
  ['sinks', 'write a dash before each: - { connector: cassandra, … }'],
  ['schema', "columns are a text as in SQL: schema: 'id STRING NOT NULL, at TIMESTAMP'"],
  ['primaryKey', 'write the columns in brackets: primaryKey: [id]; [[page], minute] has a partition key of its own'],
]);

/** The values of a union's discriminator (`connector`) at this place. */
function connectors(document: unknown, path: DocumentPath): string[] {
  const values = schemasAt(document, path).flatMap((schema) =>
    schema.const === undefined ? [] : [String(schema.const)],
  );
  // People write the name of the package.
  return [...new Set(values)].filter((value) => value !== 'package');
}

function withHint(problem: JobProblem, value: unknown, words: readonly string[]): JobProblem {
  const meant = typeof value === 'string' ? similarWord(value, words) : undefined;
  return meant === undefined ? problem : { ...problem, hint: `did you mean ${meant}?` };
}

function wanted(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_value':
      return issue.values.length === 1 ? String(issue.values[0]) : `one of ${issue.values.map(String).join(', ')}`;
    case 'invalid_type':
      return typeNames.get(issue.expected) ?? issue.expected;
    default:
      return firstLower(issue.message);
  }
}

const typeNames = new Map([
  ['string', 'text'],
  ['number', 'a number'],
  ['int', 'a whole number'],
  ['boolean', 'true or false'],
  ['array', 'a list'],
  ['object', 'a map of options'],
  ['record', 'a map of names'],
]);

function show(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'a map';
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function firstLower(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}

/** A misspelt required option is one mistake, not two ("is missing" and "unknown"). */
function mergeRenamed(problems: readonly JobProblem[]): JobProblem[] {
  const renamed = new Set(
    problems.flatMap((problem) => {
      const meant = /^did you mean (\w+)\?$/.exec(problem.hint ?? '')?.[1];
      return meant === undefined || !problem.message.includes(' has no option ')
        ? []
        : [[...problem.path.split('.').slice(0, -1), meant].join('.')];
    }),
  );
  return problems.filter((problem) => !(problem.message.includes(' is missing; ') && renamed.has(problem.path)));
}
