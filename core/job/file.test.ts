import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { loadJobFile, locateProblems } from './file.ts';
import { renderProblems } from './render.ts';

const good = `apiVersion: weir/v1
kind: Job
name: users
sources:
  users:
    connector: kafka
    topic: users_created
    schema: >
      id STRING NOT NULL,
      age INT
query: |
  SELECT id,
         agee
  FROM users
sinks:
  - connector: cassandra
    keyspace: ks
    table: users
    primaryKey: [id]
`;

/** `line:column message` of every problem. */
function problemsOf(text: string): string[] {
  return loadJobFile(text).problems.map(
    ({ line, column, message, hint }) => `${line}:${column} ${message}${hint === undefined ? '' : ` (${hint})`}`,
  );
}

suite('job file', () => {
  test('a good file gives the spec with its defaults', () => {
    const { spec, problems } = loadJobFile(good);
    assert.deepEqual(problems, []);
    assert.equal(spec?.name, 'users');
    assert.equal(spec?.sources['users']?.startingOffsets, 'latest');
    assert.equal(spec?.query, 'SELECT id,\n       agee\nFROM users\n');
  });

  test('JSON is read too', () => {
    const { spec } = loadJobFile(good);
    const again = loadJobFile(JSON.stringify(spec, null, '\t'));
    assert.deepEqual(again.problems, []);
    assert.deepEqual(again.spec, spec);
  });

  test('every mistake is told at once, in the order of the file', () => {
    const bad = `apiVersion: weir/v1
kind: Jo
name: Users
sources:
  users: { connector: kafak, topic: 1 }
  more:
    connector: kafka
    topik: users
    startingOffsets: erliest
sinks:
  - { connector: cassandra, kespace: ks, table: t, primaryKey: [1] }
trigger: 5 sec
onBadRecord: { deadLetter: { topc: x } }
colour: red
`;
    assert.deepEqual(problemsOf(bad), [
      '1:1 query is missing; it takes text',
      '2:7 kind is "Jo"; it takes Job (did you mean Job?)',
      '3:7 name: a job name is 1 to 63 of a-z, 0-9 and -, beginning with a letter',
      '5:23 sources.users.connector is "kafak"; it takes one of kafka, generator, http, file, websocket, browser (did you mean kafka?)',
      '8:5 sources.more has no option topik (did you mean topic?)',
      '9:22 sources.more.startingOffsets is "erliest"; it takes one of earliest, latest, or a map of options (did you mean earliest?)',
      '11:29 sinks.0 has no option kespace (did you mean keyspace?)',
      '11:65 sinks.0.primaryKey.0 is 1; it takes text, or a list',
      '12:10 trigger is "5 sec"; it takes asap, availableNow, manual or a duration: 10s, 1 minute',
      '13:30 onBadRecord.deadLetter has no option topc (did you mean topic?)',
      '14:1 a job has no option colour (options here: apiVersion, kind, name, labels, sources, tables, query, keyedState, module, sinks, outputMode, trigger, schedule, onLate, watermarkPolicy, noDataEpochs, limits, onBadRecord, onNullValue, timeZone)',
    ]);
  });

  test('a misspelt connector is one mistake, at its place, and not one that is missing', () => {
    assert.deepEqual(problemsOf(good.replace('connector: kafka', 'connectr: kafka')), [
      '6:5 sources.users has no option connectr (did you mean connector?)',
    ]);
  });

  test('YAML that cannot be read is one mistake, in words of files', () => {
    const cases: readonly (readonly [before: string, after: string, said: RegExp])[] = [
      [
        '    connector: kafka',
        '   connector: kafka\n    format: json',
        /the lines of a map begin at one column, and these do not/,
      ],
      ['    connector: kafka', '\tconnector: kafka', /spaces, not tabs/],
      ['kind: Job', 'kind Job', /this is no key with a value \(write KEY: VALUE/],
      ['primaryKey: [id]', 'primaryKey: [id', /the \[ before this is not closed \(a \] is missing\)/],
    ];
    for (const [before, after, said] of cases) {
      assert.ok(good.includes(before), before);
      const problems = problemsOf(good.replace(before, after));
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', said);
    }
  });

  test('triggers of Spark, and options in other shapes, say what is written instead', () => {
    const cases: readonly (readonly [line: string, hint: string])[] = [
      ['trigger: 5', 'write the unit: 5s'],
      ['trigger: once', "Spark's option is trigger: availableNow here: as Spark advises too"],
      ['trigger: processingTime', "Spark's option is trigger: 10s here"],
      ["trigger: processingTime='5 seconds'", 'write trigger: 5 seconds'],
      ['trigger: availablenow', 'did you mean availableNow?'],
      ['sql: SELECT 1', 'the SQL stands at query:'],
      ['parallelism: 4', 'weir scale JOB --parallelism N'],
      ['spark.sql.shuffle.partitions: 200', "Spark's option is not needed here"],
      ['watermark: 10 minutes', 'it belongs to a source'],
    ];
    for (const [line, hint] of cases) {
      const problems = problemsOf(`${good}${line}\n`);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.ok(problems[0]?.includes(hint), `${line}: ${problems[0]}`);
    }
    const offsets = problemsOf(
      good.replace('    connector: kafka', "    connector: kafka\n    startingOffsets: { users: { '0': 23 } }"),
    );
    assert.equal(offsets.length, 1, offsets.join('\n'));
    assert.match(offsets[0] ?? '', /startingOffsets is a map; it takes earliest, latest or .* weir offsets set JOB/);
    const list = problemsOf('apiVersion: weir/v1\nkind: Job\nname: a\nsources: []\nquery: SELECT 1\nsinks: {}\n');
    assert.match(list.join('\n'), /sources is a list; it takes a map of names \(each has a name/);
    assert.match(list.join('\n'), /sinks is a map; it takes a list \(write a dash before each/);
  });

  test('what stateful jobs say is checked like the rest', () => {
    const stateful = good.replace(
      '    connector: kafka',
      '    connector: kafka\n    watermark: { column: at, delay: 10 seconds }',
    ).concat(`tables:
  names: { schema: 'id INT', rows: [[1], [2]] }
  places: { connector: cassandra, keyspace: ks, table: places, refresh: 5m }
trigger: { processingTime: 1 minute }
onLate: deadLetter
limits: { stateBytes: 1000000 }
`);
    assert.deepEqual(problemsOf(stateful), []);
    assert.deepEqual(
      problemsOf(
        stateful
          .replace('10 seconds', '10 parsecs')
          .replace('refresh: 5m', 'refesh: 5m')
          .replace('onLate: deadLetter', 'onLate: keep'),
      ),
      [
        '7:37 sources.users.watermark.delay: a duration is a whole number with a unit: 50ms, 10s, 5m, 1h',
        '23:64 tables.places has no option refesh (did you mean refresh?)',
        '25:9 onLate is "keep"; it takes one of drop, deadLetter',
      ],
    );
  });

  test('of two shapes that an option may have the one that was meant speaks', () => {
    const of = (table: string): string[] =>
      problemsOf(`${good}tables:\n  names: ${table}\n`).map((text) => text.replace(/^\S+ /, ''));
    assert.deepEqual(of("{ schema: 'id INT' }"), [
      'tables.names.rows is missing; it takes a list (one list per row, a value per column; times, decimals and dates as text)',
    ]);
    assert.deepEqual(of('{ connector: casandra, keyspace: k, table: t }'), [
      'tables.names.connector is "casandra"; it takes cassandra (did you mean cassandra?)',
    ]);
    assert.deepEqual(of('{ connector: cassandra, table: t }'), ['tables.names.keyspace is missing; it takes text']);
    assert.deepEqual(of('5'), ['tables.names is 5; it takes a map of options']);
  });

  test('mistakes of YAML have their place', () => {
    assert.deepEqual(problemsOf('name: a\nname: b\n'), ['2:1 this key stands here twice']);
    assert.deepEqual(problemsOf('a: 1\n---\nb: 2\n'), ['2:1 one job per file: a second document begins here']);
    assert.equal(problemsOf('a:\n\tb: 1\n').length > 0, true);
  });

  test('what is no job at all is one problem', () => {
    for (const text of ['', 'hello', '[1, 2]', '42', '# only a comment\n', '\u0000'])
      assert.equal(loadJobFile(text).problems.length >= 1, true, JSON.stringify(text));
  });

  test('names that would reach a prototype are refused', () => {
    const text = good.replace('  users:\n    connector', '  __proto__:\n    connector');
    assert.deepEqual(problemsOf(text), ['5:3 __proto__ cannot be a name']);
    assert.equal(Object.hasOwn(Object.prototype, 'connector'), false);
  });

  test('repeated anchors cannot blow up', () => {
    const lines = ['a0: &a0 [x, x]'];
    for (let n = 1; n < 30; n++) lines.push(`a${n}: &a${n} [*a${n - 1}, *a${n - 1}]`);
    assert.equal(loadJobFile(lines.join('\n')).spec, null);
  });

  test('any text gives a spec or problems, each with a place', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string({
            unit: fc.constantFrom('a', ':', ' ', '\n', '-', '"', "'", '{', '}', '[', ']', '|', '&', '*', '#', '\t'),
          }),
        ),
        (text) => {
          const { spec, problems } = loadJobFile(text);
          assert.equal(spec === null, problems.length > 0);
          for (const { line, column } of problems) assert.ok((line ?? 0) >= 1 && (column ?? 0) >= 1);
        },
      ),
      { numRuns: 300 },
    );
  });
});

suite('places within texts', () => {
  const located = (text: string, path: string, sqlOffset: number, sqlLength = 1): string | undefined => {
    const { positions } = loadJobFile(text);
    const [problem] = locateProblems(positions, [{ path, message: 'm', sqlOffset, sqlLength }]);
    return `${problem?.line}:${problem?.column}`;
  };

  test('in a literal block', () => {
    assert.equal(located(good, 'query', 'SELECT id,\n       agee'.indexOf('agee'), 4), '13:10');
    assert.equal(located(good, 'query', 0), '12:3');
  });

  test('in a folded block', () => {
    assert.equal(located(good, 'sources.users.schema', 'id STRING NOT NULL, age INT'.indexOf('age'), 3), '10:7');
  });

  test('in plain, quoted and escaped text', () => {
    const at = (yaml: string, offset: number): string | undefined => located(`query: ${yaml}\n`, 'query', offset);
    assert.equal(at('SELECT a FROM t', 7), '1:15');
    assert.equal(at("'it''s x'", 5), '1:15');
    assert.equal(at('"a\\tb\\u0041c"', 4), '1:19');
    assert.equal(at('SELECT a\n  FROM t', 9), '2:3');
  });

  test('at the end of the text', () => {
    const text = 'query: |\n  SELECT\nname: x\n';
    assert.equal(located(text, 'query', 'SELECT\n'.length), '2:9');
    assert.equal(located('query: SELECT a', 'query', 8), '1:16');
  });

  test('a character that is not white space maps to itself, in any style', () => {
    const word = fc.string({
      unit: fc.constantFrom('a', 'b', '(', "'", '"', ',', '\\', 'é', '😀', '=', '%'),
      minLength: 1,
      maxLength: 6,
    });
    const value = fc
      .array(fc.tuple(word, fc.constantFrom(' ', '\n', '  ', '\n\n', ' \n')), { minLength: 1, maxLength: 8 })
      .map((parts) => parts.flat().join('').trim());
    const style = fc.constantFrom('BLOCK_LITERAL', 'BLOCK_FOLDED', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'PLAIN');
    fc.assert(
      fc.property(value, style, fc.nat(), (text, defaultStringType, random) => {
        const file = stringify(
          { name: 'x', query: text },
          { defaultStringType, defaultKeyType: 'PLAIN', lineWidth: 30 },
        );
        const offset = random % text.length;
        const char = text[offset] ?? '';
        if (/\s/.test(char)) return;
        const [problem] = locateProblems(loadJobFile(file).positions, [
          { path: 'query', message: 'm', sqlOffset: offset, sqlLength: 1 },
        ]);
        const found = file.split('\n')[(problem?.line ?? 0) - 1]?.slice((problem?.column ?? 0) - 1) ?? '';
        // Within quotes a backslash or a quote may stand before its character.
        assert.ok(found.startsWith(char) || found.startsWith('\\'), `${JSON.stringify(file)} at ${offset}: ${found}`);
      }),
      { numRuns: 1000 },
    );
  });
});

suite('rendering', () => {
  test('place, message, line, caret and hint', () => {
    const { positions } = loadJobFile(good);
    const offset = 'SELECT id,\n       '.length;
    const problems = locateProblems(positions, [
      { path: 'query', message: 'there is no column agee', hint: 'did you mean age?', sqlOffset: offset, sqlLength: 4 },
    ]);
    assert.equal(
      renderProblems('jobs/x.yaml', good, problems),
      [
        'jobs/x.yaml:13:10 there is no column agee',
        '  13 |          agee',
        '     |          ^^^^',
        '  hint: did you mean age?',
      ].join('\n'),
    );
  });

  test('control characters of the file do not reach the terminal', () => {
    const text = `name: "x\n\u001b[2Jevil"\n`;
    assert.doesNotMatch(
      renderProblems('f', text, [{ path: '', message: 'm\u001b[31m', line: 2, column: 1 }]),
      /\u001b/,
    );
  });

  test('a problem without a place still says the file', () => {
    assert.equal(renderProblems('f.yaml', '', [{ path: 'query', message: 'wrong' }]), 'f.yaml wrong');
  });
});
