import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { Expr } from '../../core/ast.ts';
import { batchOf } from '../operators/test-batch.ts';
import { Gen } from './codegen.ts';
import { parseColumns } from './parser.ts';
import { splitText } from './runtime/regexp.ts';
import { failureOf, Runtime } from './runtime/runtime.ts';
import { utc } from './runtime/time.ts';
import { analyze, readable } from './test-query.ts';
import type { BoxedValue } from './runtime/boxed.ts';

const schema = 'x INT, y INT, a STRING, b STRING, flag BOOLEAN';

function typed(expressions: readonly string[]): readonly Expr[] {
  const { analyzed, problems } = analyze(
    `SELECT ${expressions.map((text, i) => `${text} AS c${i}`).join(', ')} FROM t`,
    {
      schema,
    },
  );
  assert.deepEqual(problems, []);
  const [project] = analyzed?.operators ?? [];
  assert.ok(project?.kind === 'project');
  return project.columns.map(({ expr }) => expr);
}

type Row = readonly unknown[];

/** Expressions over one row, and how often the pattern of `split` was searched for. */
function run(
  exprs: readonly Expr[],
  row: Row,
  shares: boolean,
): { readonly outcome: unknown; readonly splits: number } {
  const gen = new Gen();
  if (shares) gen.share(exprs);
  for (const expr of exprs) gen.line(`out.push(${gen.boxedOrNull(gen.expr(expr))});`);
  const body = gen.takeLines();
  const { constants, columns } = gen.prologue();
  const runtime = new Runtime(utc);
  const batch = batchOf(parseColumns(schema), [row]);
  runtime.reset(batch.origins);
  let splits = 0;
  const counted = gen.constants.map((value) => {
    if (value !== splitText) return value;
    return (...args: Parameters<typeof splitText>) => {
      splits++;
      return splitText(...args);
    };
  });
  const out: BoxedValue[] = [];
  const code = new Function('k', 'rt', 'cols', 'out', `const r = 0;\n${constants}\n${columns}\n${body}`);
  try {
    code(counted, runtime, batch.columns, out);
    return { outcome: out.map(readable), splits };
  } catch (thrown) {
    const failure = failureOf(thrown);
    if (failure === null) throw thrown;
    return { outcome: failure.reason, splits };
  }
}

const row: Row = [3, 0, 'one,two,three', null, true];

suite('what stands more than once', () => {
  const cases: readonly (readonly [name: string, expressions: readonly string[], outcome: unknown, splits: number])[] =
    [
      ['is computed once', ["split(a, ',')[0]", "split(a, ',')[1]", "size(split(a, ','))"], ['one', 'two', 3], 1],
      ['differs by its arguments', ["split(a, ',')[0]", "split(a, 'o')[0]"], ['one', ''], 2],
      [
        'is not computed where a CASE leaves it out',
        ["CASE WHEN x = 0 THEN split(a, ',')[0] END", "IF(x = 0, split(a, ',')[1], 'no')"],
        [null, 'no'],
        0,
      ],
      [
        'is computed once in the branches taken',
        ["IF(x = 3, split(a, ',')[0], '')", "IF(x = 3, split(a, ',')[1], '')", "split(a, ',')[2]"],
        ['one', 'two', 'three'],
        1,
      ],
      ['is computed once behind COALESCE', ["coalesce(b, split(a, ',')[0])", "split(a, ',')[0]"], ['one', 'one'], 1],
      ['is computed once within AND', ["x = 3 AND split(a, ',')[0] = 'one' AND split(a, ',')[1] = 'two'"], [true], 1],
      [
        'is computed once for all calls of a lambda',
        ["transform(array(0, 1, 2), i -> split(a, ',')[i])", "split(a, ',')[0]"],
        [['one', 'two', 'three'], 'one'],
        1,
      ],
      [
        'depends on a lambda’s argument',
        ["transform(array('a,b', 'c'), s -> concat(split(s, ',')[0], split(s, ',')[0]))"],
        [['aa', 'cc']],
        4,
      ],
      ['raises no earlier than it stands', ['IF(y = 0, -1, x div y)', 'IF(y = 0, -2, x div y)'], ['-1n', '-2n'], 0],
      [
        'may have been NULL',
        ['upper(b)', "concat(upper(b), 'x')", 'coalesce(upper(b), upper(a))'],
        [null, null, 'ONE,TWO,THREE'],
        0,
      ],
      ['may fail within a try', ['try_divide(1, 1 div y)', 'IF(flag, 7, 1 div y)'], 2, 0],
    ];
  for (const [name, expressions, outcome, splits] of cases) {
    test(name, () => {
      const exprs = typed(expressions);
      const shared = run(exprs, row, true);
      assert.deepEqual(shared.outcome, run(exprs, row, false).outcome);
      if (typeof outcome !== 'number') assert.deepEqual(shared, { outcome, splits });
    });
  }

  test('gives what it gives without sharing', () => {
    const { text } = fc.letrec<{ text: string; number: string; condition: string }>((tie) => ({
      text: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom('a', 'b', "'k'"),
        tie('text').map((inner) => `upper(${inner})`),
        fc.tuple(tie('text'), tie('text')).map(([left, right]) => `concat(${left}, ${right})`),
        fc.tuple(tie('text'), tie('text')).map(([left, right]) => `coalesce(${left}, ${right})`),
        tie('text').map((inner) => `get(split(${inner}, ','), 0)`),
        fc
          .tuple(tie('condition'), tie('text'), tie('text'))
          .map(([when, left, right]) => `IF(${when}, ${left}, ${right})`),
        tie('number').map((inner) => `CAST(${inner} AS STRING)`),
      ),
      number: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom('x', 'y', '1'),
        fc.tuple(tie('number'), tie('number')).map(([left, right]) => `(${left} + ${right})`),
        fc.tuple(tie('number'), tie('number')).map(([left, right]) => `CAST(${left} div ${right} AS INT)`),
        tie('text').map((inner) => `length(${inner})`),
        tie('text').map((inner) => `try_cast(${inner} AS INT)`),
      ),
      condition: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom('flag', 'true'),
        fc.tuple(tie('number'), tie('number')).map(([left, right]) => `(${left} > ${right})`),
        fc.tuple(tie('condition'), tie('condition')).map(([left, right]) => `(${left} AND ${right})`),
        tie('text').map((inner) => `(${inner} IS NULL)`),
      ),
    }));
    const integer = fc.option(fc.integer({ min: -1, max: 2 }));
    const string = fc.option(fc.constantFrom('p,q', '7', 'é', ''));
    const rows = fc.tuple(integer, integer, string, string, fc.option(fc.boolean()));
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), rows, (expressions, values) => {
        const exprs = typed([...expressions, expressions[0] as string]);
        assert.deepEqual(run(exprs, values, true).outcome, run(exprs, values, false).outcome);
      }),
      { numRuns: 300 },
    );
  });
});
