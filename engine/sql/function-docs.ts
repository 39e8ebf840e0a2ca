/** Everything a query may call, for people: `weir functions` and docs/functions.md. */
import { aggregateFunctions } from './aggregates.ts';
import { scalarFunctions } from './functions.ts';
import { type Example, functionExamples } from './functions/examples.ts';
import { refusedFunctions } from './functions/refused.ts';

export interface FunctionDoc {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly group: string;
  readonly usage: string;
  /** One sentence. */
  readonly about: string;
  /** Expression and value as text. */
  readonly examples: readonly Example[];
}

/** Groups in the order of their lists, with their titles. */
export const functionGroups: ReadonlyMap<string, string> = new Map([
  ['operator', 'Operators'],
  ['conditional', 'Conditions and NULL'],
  ['cast', 'Types'],
  ['string', 'Text'],
  ['number', 'Numbers'],
  ['time', 'Dates and times'],
  ['nested', 'Arrays, maps and structs'],
  ['json', 'JSON'],
  ['protobuf', 'Protobuf'],
  ['avro', 'Avro'],
  ['hash', 'Hashes'],
  ['misc', 'Records and checks'],
  ['aggregate', 'Aggregates'],
  ['window', 'Windows of time and ranks'],
  ['generator', 'Functions that make rows'],
]);

type Row = readonly [
  name: string,
  aliases: readonly string[],
  usage: string,
  about: string,
  examples: readonly Example[],
];

/** What the analyzer rewrites to other expressions. */
const forms: readonly (readonly [group: string, ...Row])[] = [
  [
    'conditional',
    'if',
    ['iff'],
    'if(condition, a, b)',
    'a where the condition is true, else b.',
    [
      ['if(1 < 2, 1, 2)', '1'],
      ['if(NULL, 1, 2)', '2'],
    ],
  ],
  [
    'conditional',
    'case',
    [],
    'CASE WHEN condition THEN a … [ELSE b] END',
    'The value behind the first condition that is true.',
    [
      ["CASE WHEN 1 > 2 THEN 'a' ELSE 'b' END", 'b'],
      ["CASE 1 WHEN 2 THEN 'a' END", 'NULL'],
    ],
  ],
  [
    'conditional',
    'nullif',
    [],
    'nullif(a, b)',
    'NULL when both are equal, else a.',
    [
      ['nullif(1, 1)', 'NULL'],
      ['nullif(1, 2)', '1'],
    ],
  ],
  [
    'time',
    'make_interval',
    [],
    'time + make_interval(years [, months [, weeks [, days [, hours [, minutes [, seconds]]]]]])',
    'An interval of numbers: months first, then days and time. With both it stands behind + or - of a time alone.',
    [
      ["DATE '2024-01-31' + make_interval(0, 1, 0, 1)", '2024-03-01'],
      ["TIMESTAMP '2024-01-31 10:00:00' - make_interval(1, 0, 0, 0, 2)", '2023-01-31 08:00:00'],
    ],
  ],
  ['conditional', 'nvl2', [], 'nvl2(a, b, c)', 'b where a is not NULL, else c.', [['nvl2(NULL, 1, 2)', '2']]],
  [
    'operator',
    'between',
    [],
    'a BETWEEN b AND c',
    'True when a lies between b and c, both included.',
    [['2 BETWEEN 1 AND 2', 'true']],
  ],
  [
    'cast',
    'cast',
    ['::'],
    'CAST(a AS type), a::type',
    'The value as another type; raises where it stands for none.',
    [
      ["CAST(' 12 ' AS INT)", '12'],
      ["'x'::INT", 'CAST_INVALID'],
      ['CAST(1.9D AS INT)', '1'],
    ],
  ],
  [
    'cast',
    'try_cast',
    [],
    'try_cast(a AS type)',
    'The value as another type, NULL where it stands for none.',
    [["try_cast('x' AS INT)", 'NULL']],
  ],
  [
    'cast',
    'int',
    ['boolean', 'tinyint', 'smallint', 'bigint', 'float', 'double', 'decimal', 'string', 'binary', 'date', 'timestamp'],
    'int(a), date(a), …',
    'A cast to the type of the name.',
    [
      ["int('5') + 1", '6'],
      ["date('2024-01-31')", '2024-01-31'],
    ],
  ],
  [
    'cast',
    'typeof',
    [],
    'typeof(a)',
    'The type of an expression.',
    [
      ['typeof(1 / 2)', 'double'],
      ['typeof(array(1))', 'array<int>'],
    ],
  ],
  [
    'time',
    'current_date',
    ['curdate'],
    'current_date()',
    'The date of current_timestamp().',
    [['current_date()', '2023-11-14']],
  ],
  ['aggregate', 'try_sum', [], 'try_sum(number)', 'The sum; NULL when the sum of whole numbers is no BIGINT.', []],
  ['aggregate', 'try_avg', [], 'try_avg(number)', 'The mean, as avg.', []],
  [
    'nested',
    'struct',
    [],
    'struct(a, b AS c), struct(*)',
    'A struct of columns and named values; a star stands for all columns of the row or of a struct.',
    [["struct(1 AS a, 'x' AS b)", '{1, x}']],
  ],
];

const windowFunctions: readonly Row[] = [
  [
    'window',
    [],
    "window(time, '10 minutes' [, slide [, start]])",
    'The windows of time a row lies in, as structs of start and end; aligned to 1970-01-01 00:00 UTC.',
    [],
  ],
  [
    'session_window',
    [],
    "session_window(time, '5 minutes')",
    'The session a row belongs to: rows with no gap of this length between them.',
    [],
  ],
  ['window_time', [], 'window_time(window)', 'The last moment of a window: its end less a microsecond.', []],
  [
    'row_number',
    [],
    'row_number() OVER (PARTITION BY … ORDER BY …)',
    'The place of a row in its partition, from 1; a condition like place <= 3 outside keeps the first of each key.',
    [],
  ],
  [
    'rank',
    [],
    'rank() OVER (PARTITION BY … ORDER BY …)',
    'As row_number, equal rows sharing the first of their places.',
    [],
  ],
  ['dense_rank', [], 'dense_rank() OVER (PARTITION BY … ORDER BY …)', 'As rank, without gaps behind equal rows.', []],
  [
    'lag',
    [],
    'lag(value [, offset [, default]]) OVER (PARTITION BY … ORDER BY …)',
    'The value in the row before, or so many rows before.',
    [],
  ],
  [
    'lead',
    [],
    'lead(value [, offset [, default]]) OVER (PARTITION BY … ORDER BY …)',
    'The value in the row behind, or so many rows behind.',
    [],
  ],
];

const generatorFunctions: readonly Row[] = [
  [
    'explode',
    ['explode_outer'],
    'explode(array or map)',
    'A row for every element (col) or entry (key, value); the outer form gives one of NULLs where there is none.',
    [],
  ],
  [
    'posexplode',
    ['posexplode_outer'],
    'posexplode(array or map)',
    'As explode, with the place from 0 (pos) in front.',
    [],
  ],
  ['inline', ['inline_outer'], 'inline(array of structs)', 'A row for every struct, a column for every field.', []],
  [
    'json_tuple',
    [],
    "json_tuple(text, 'a', 'b', …)",
    'A column for each of the named fields of a JSON object, as text.',
    [],
  ],
  [
    'stack',
    [],
    'stack(n, a, b, …)',
    'The values as n rows, one behind the other; NULLs where they do not fill the last.',
    [],
  ],
];

const docOf = (group: string, [name, aliases, usage, about, examples]: Row): FunctionDoc => ({
  name,
  aliases,
  group,
  usage,
  about,
  examples,
});

function collect(): readonly FunctionDoc[] {
  const docs = [
    ...scalarFunctions.map(({ name, aliases, group, usage, about }) =>
      docOf(group, [
        name,
        aliases.filter((alias) => /^\w+$/.test(alias)),
        usage,
        about,
        functionExamples.get(name) ?? [],
      ]),
    ),
    ...forms.map(([group, ...row]) => docOf(group, row)),
    ...aggregateFunctions.map(({ name, names, usage, about }) =>
      docOf('aggregate', [name, names.slice(1), usage, about, []]),
    ),
    ...windowFunctions.map((row) => docOf('window', row)),
    ...generatorFunctions.map((row) => docOf('generator', row)),
  ];
  const order = [...functionGroups.keys()];
  const isWord = ({ name }: FunctionDoc): boolean => /^[a-z]/.test(name);
  // Operators stay in the order of the table; all others go by name.
  return docs.toSorted(
    (a, b) =>
      order.indexOf(a.group) - order.indexOf(b.group) ||
      (a.group === 'operator'
        ? 0
        : Number(isWord(a)) - Number(isWord(b)) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)),
  );
}

/** All functions, group by group. */
export const functionDocs: readonly FunctionDoc[] = collect();

const byName = new Map(functionDocs.flatMap((doc) => [doc.name, ...doc.aliases].map((name) => [name, doc] as const)));

/** The function of a name or alias, in any case. */
export function functionDoc(name: string): FunctionDoc | undefined {
  return byName.get(name.toLowerCase());
}

/** Functions of Spark that are not offered, and what to write instead. */
export const refusedDocs: readonly {
  readonly names: readonly string[];
  readonly why: string;
  readonly instead: string;
}[] = refusedFunctions;
