import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { JoinTimeBounds } from '../../plan/logical-plan.ts';
import { A, B, nodeOf, planOf } from './test-plan.ts';

const S = 1_000_000;
const MS = 1000;

function join(condition: string, type = 'JOIN'): ReturnType<typeof nodeOf<'join'>> {
  return nodeOf(planOf(`SELECT l.k FROM ${A} AS l ${type} ${B} AS r ON l.k = r.k AND (${condition})`), 'join');
}

function boundsOf(condition: string): readonly (number | null)[] | null {
  const { bounds } = join(condition);
  return bounds && [bounds.lowerUs, bounds.upperUs];
}

suite('bounds between event times', () => {
  const cases: readonly (readonly [condition: string, lowerUs: number | null, upperUs: number | null])[] = [
    ['l.ts BETWEEN r.ts - INTERVAL 5 SECONDS AND r.ts + INTERVAL 7 SECONDS', -5 * S, 7 * S],
    ['r.ts BETWEEN l.ts AND l.ts + INTERVAL 10 SECONDS', -10 * S, 0],
    ['l.ts > r.ts - INTERVAL 5 SECONDS', -5 * S + 1, null],
    ['r.ts - INTERVAL 5 SECONDS < l.ts', -5 * S + 1, null],
    ['l.ts - r.ts <= INTERVAL 5 SECONDS', null, 5 * S],
    ['INTERVAL 5 SECONDS >= l.ts - r.ts', null, 5 * S],
    ['r.ts - l.ts <= INTERVAL 5 SECONDS', -5 * S, null],
    ['l.ts + INTERVAL 1 MINUTE >= r.ts + INTERVAL 5 SECONDS', -55 * S, null],
    ['l.ts + -INTERVAL 5 SECONDS <= r.ts', null, 5 * S],
    ['l.ts - (r.ts - INTERVAL 5 SECONDS) >= INTERVAL 0 SECONDS', -5 * S, null],
    ['l.ts >= r.ts - INTERVAL 2 SECONDS * 3', -6 * S, null],
    ['l.ts >= r.ts - INTERVAL 5 SECONDS AND l.ts > r.ts - INTERVAL 3 SECONDS AND l.ts < r.ts', -3 * S + 1, -1],
    ['l.ts = r.ts + INTERVAL 5 SECONDS', 5 * S, 5 * S],
  ];
  for (const [condition, lowerUs, upperUs] of cases)
    test(condition, () => assert.deepEqual(boundsOf(condition), [lowerUs, upperUs]));

  test('what bounds nothing', () => {
    const none = [
      'l.ts > r.at',
      'l.ts > l.ts - INTERVAL 1 SECOND',
      'l.ts <> r.ts',
      'l.ts > r.ts OR l.v > 1',
      'NOT l.ts > r.ts',
      'l.ts > r.ts - INTERVAL 1 MONTH',
      'l.v > r.w',
    ];
    for (const condition of none) assert.equal(boundsOf(condition), null, condition);
  });

  test('only event times count: without watermarks there are no bounds', () => {
    const plan = planOf('SELECT l.k FROM a l JOIN b r ON l.k = r.k AND l.ts >= r.ts');
    assert.deepEqual([nodeOf(plan, 'join').bounds, nodeOf(plan, 'join').leftTime], [null, null]);
  });

  test('a side waits for the watermark of the other one alone', () => {
    const sides = (left: string, right: string): readonly unknown[] => {
      const on = 'l.k = r.k AND r.ts BETWEEN l.ts AND l.ts + INTERVAL 5 SECONDS';
      const { bounds } = nodeOf(planOf(`SELECT l.k FROM ${left} AS l JOIN ${right} AS r ON ${on}`), 'join');
      return [bounds?.lowerUs, bounds?.upperUs];
    };
    assert.deepEqual(sides(A, B), [-5 * S, 0]);
    assert.deepEqual(sides('a', B), [-5 * S, null]);
    assert.deepEqual(sides(A, 'b'), [null, 0]);
  });

  test('a bound holds for exactly the pairs that match', () => {
    const side = fc.constantFrom('l', 'r');
    const form = fc.record({
      first: side,
      op: fc.constantFrom('<', '<=', '>', '>='),
      plus: fc.integer({ min: -4, max: 4 }),
      other: fc.integer({ min: -4, max: 4 }),
      moved: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(form, { minLength: 1, maxLength: 3 }), (forms) => {
        const us = (count: number): string => `INTERVAL ${count} MICROSECONDS`;
        const condition = forms
          .map(({ first, op, plus, other, moved }) => {
            const second = first === 'l' ? 'r' : 'l';
            return moved
              ? `${first}.ts - ${second}.ts + ${us(plus)} ${op} ${us(other)}`
              : `${first}.ts + ${us(plus)} ${op} ${second}.ts + ${us(other)}`;
          })
          .join(' AND ');
        const bounds = join(condition).bounds as JoinTimeBounds;
        for (let apart = -12; apart <= 12; apart++) {
          const matches = forms.every(({ first, op, plus, other }) => {
            const value = (first === 'l' ? apart : -apart) + plus;
            if (op === '<') return value < other;
            if (op === '<=') return value <= other;
            return op === '>' ? value > other : value >= other;
          });
          const within = apart >= (bounds.lowerUs ?? -Infinity) && apart <= (bounds.upperUs ?? Infinity);
          assert.equal(within, matches, `${condition}: ${apart}`);
        }
      }),
      { numRuns: 200 },
    );
  });
});

suite('equal times', () => {
  const windowed = (stream: string): string => `(SELECT k, ts, window(ts, '10 seconds') AS window FROM ${stream})`;

  test('windows come before plain times', () => {
    const query = `SELECT l.k FROM ${windowed(A)} l JOIN ${windowed(B)} r ON l.k = r.k AND l.ts = r.ts AND l.window = r.window`;
    const node = nodeOf(planOf(query), 'join');
    assert.equal(node.equalTime, true);
    assert.deepEqual(node.leftTime, { column: 2, kind: 'window' });
    assert.deepEqual(node.rightTime, { column: 2, kind: 'window' });
    assert.equal(node.equi.length, 3);
    assert.equal(node.residual, null);
  });

  test('a column that is made equal to an event time is as good as one', () => {
    const node = join('l.ts = r.at');
    assert.equal(node.equalTime, true);
    assert.deepEqual(node.rightTime, { column: 3, kind: 'timestamp' });
  });

  test('windows without a watermark evict nothing', () => {
    const query = `SELECT l.k FROM ${windowed('a')} l JOIN ${windowed('b')} r ON l.window = r.window`;
    const node = nodeOf(planOf(query), 'join');
    assert.deepEqual([node.equalTime, node.leftTime, node.rightTime], [false, null, null]);
  });
});

suite('keys and the rest of the condition', () => {
  test('keys are of one type on both sides', () => {
    const { equi } = join('r.w = l.v + 1');
    assert.deepEqual(
      equi.map(({ left, right }) => [left.type.kind, right.type.kind]),
      [
        ['string', 'string'],
        ['bigint', 'bigint'],
      ],
    );
  });

  test('conditions on one side go below the join unless its rows come out alone', () => {
    const shape = (type: string): readonly [left: string, right: string, residual: boolean] => {
      const node = join('l.v > 1 AND r.w > 2 AND l.ts BETWEEN r.ts AND r.ts + INTERVAL 1 SECOND', type);
      const text = JSON.stringify(node.residual);
      return [node.left.kind, node.right.kind, text.includes('"v"') || text.includes('"w"')];
    };
    assert.deepEqual(shape('JOIN'), ['filter', 'filter', false]);
    assert.deepEqual(shape('LEFT SEMI JOIN'), ['filter', 'filter', false]);
    assert.deepEqual(shape('LEFT JOIN'), ['watermark', 'filter', true]);
    assert.deepEqual(shape('LEFT ANTI JOIN'), ['watermark', 'filter', true]);
    assert.deepEqual(shape('RIGHT JOIN'), ['filter', 'watermark', true]);
    assert.deepEqual(shape('FULL JOIN'), ['watermark', 'watermark', true]);
  });
});

suite('the watermark above a join', () => {
  const lagOf = (condition: string): number => {
    const inner = `SELECT l.ts FROM ${A} AS l JOIN ${B} AS r ON l.k = r.k AND ${condition}`;
    return nodeOf(planOf(`SELECT ts, count(*) AS n FROM (${inner}) GROUP BY ts`), 'aggregate').watermarkLagUs;
  };

  test('is lower by the larger bound, and a millisecond where the bound itself matches', () => {
    assert.equal(lagOf('l.ts BETWEEN r.ts - INTERVAL 1 HOUR AND r.ts + INTERVAL 1 HOUR'), 3600 * S + MS);
    assert.equal(lagOf('r.ts BETWEEN l.ts AND l.ts + INTERVAL 10 SECONDS'), 10 * S + MS);
    assert.equal(lagOf('l.ts > r.ts - INTERVAL 3 SECONDS AND l.ts < r.ts + INTERVAL 2 SECONDS'), 3 * S);
    assert.equal(lagOf('l.ts <= r.ts - INTERVAL 10 SECONDS'), 0);
    assert.equal(lagOf('l.ts = r.ts'), 0);
    assert.equal(lagOf('l.k IS NOT NULL'), 0);
  });

  test('adds up along the way, and is the largest of several inputs', () => {
    const bound = (of: string, by: string, seconds: number): string =>
      `${of}.k = ${by}.k AND ${of}.ts BETWEEN ${by}.ts AND ${by}.ts + INTERVAL ${seconds} SECONDS`;
    const two = `SELECT x.ts FROM ${A} AS x JOIN ${B} AS y ON ${bound('x', 'y', 1)} JOIN ${A} AS z ON ${bound('z', 'x', 2)}`;
    const summed = nodeOf(planOf(`SELECT ts, count(*) AS n FROM (${two}) GROUP BY ts`), 'aggregate');
    assert.equal(summed.watermarkLagUs, 3 * S + 2 * MS);
    const union = nodeOf(
      planOf(`SELECT ts, count(*) AS n FROM (${two} UNION ALL SELECT ts FROM ${A}) GROUP BY ts`),
      'aggregate',
    );
    assert.equal(union.watermarkLagUs, 3 * S + 2 * MS);
  });
});
