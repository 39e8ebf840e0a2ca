import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { loadJobFile, locateProblems } from '../core/job/file.ts';
import type { JobProblem } from '../core/job/problem.ts';
import { planJob } from '../engine/plan/plan-job.ts';
import { fixText } from './lint-fix.ts';

function problemsOf(text: string): readonly JobProblem[] {
  const file = loadJobFile(text);
  if (file.spec === null) return file.problems;
  return locateProblems(file.positions, planJob(file.spec, { tables: null }).problems);
}

const wrong = `# Clicks by page.
apiVersion: weir/v1
kind: Job
name: clicks
sources:
  clicks:
    connectr: kafka
    topic: clicks
    startingOfsets: "earlest"   # from the beginning
    schema: page STRING NOT NULL, user STRING
query: |
  SELECT pge, uper(c.usr) AS who
  FROM clicks c
sinks:
  - { connector: cassandr, keyspace: k, table: t, primaryKey: [page], create: true }
`;

suite('words that are nearly right', () => {
  test('become right, also what shows only then; all else stays', () => {
    const { text, fixes } = fixText(wrong, problemsOf);
    const right = [
      ['connectr:', 'connector:'],
      ['startingOfsets: "earlest"', 'startingOffsets: "earliest"'],
      ['pge, uper(c.usr)', 'page, upper(c.user)'],
      ['cassandr,', 'cassandra,'],
    ] as const;
    assert.equal(
      text,
      right.reduce((file, [before, after]) => file.replace(before, after), wrong),
    );
    assert.deepEqual(problemsOf(text), []);
    assert.deepEqual(fixes.map(({ before, after }) => `${before} ${after}`).toSorted(), [
      'cassandr cassandra',
      'connectr connector',
      'earlest earliest',
      'pge page',
      'startingOfsets startingOffsets',
      'uper upper',
      'usr user',
    ]);
    assert.deepEqual(
      fixes.find(({ before }) => before === 'usr'),
      { line: 12, column: 24, before: 'usr', after: 'user' },
    );
  });

  test('what has no sure remedy stays, and does not stop the others', () => {
    const stays = wrong.replace('topic: clicks', 'subject: clicks').replace('pge', 'price');
    const { text, fixes } = fixText(stays, problemsOf);
    assert.ok(text.includes('subject: clicks'), 'no option is near it');
    assert.ok(text.includes('connector: cassandra'));
    assert.equal(fixes.length, 4, 'the query is looked at when the rest is right');
    assert.match(
      problemsOf(text)
        .map(({ message }) => message)
        .join(),
      /no option subject/,
    );
  });

  test('a word whose replacement helps nothing is put back', () => {
    const stubborn = (text: string): JobProblem[] => [
      { path: '', message: `never content (${text.length > 0})`, hint: 'did you mean page?', line: 1, column: 1 },
    ];
    assert.deepEqual(fixText('pages: 1', stubborn), { text: 'pages: 1', fixes: [] });
  });

  test('a file without mistakes is as it was', () => {
    const { text } = fixText(wrong, problemsOf);
    assert.deepEqual(fixText(text, problemsOf), { text, fixes: [] });
  });
});
