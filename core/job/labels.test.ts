import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isWeirError } from '../errors.ts';
import { labelsSchema, matchesLabels, parseSelector } from './labels.ts';

suite('labels', () => {
  const jobs = new Map([
    ['a', { team: 'payments', env: 'prod' }],
    ['b', { team: 'payments', env: 'test', nightly: '' }],
    ['c', { team: 'search' }],
    ['d', {}],
  ]);
  const selected = (text: string): string => {
    const selector = parseSelector(text);
    return [...jobs].flatMap(([name, labels]) => (matchesLabels(selector, labels) ? [name] : [])).join('');
  };

  test('conditions with commas must all hold', () => {
    assert.equal(selected('team=payments'), 'ab');
    assert.equal(selected('team=payments,env=prod'), 'a');
    assert.equal(selected('team=payments, env!=prod'), 'b');
  });

  test('what is not there is not equal, and a name alone asks whether it is there', () => {
    assert.equal(selected('env!=prod'), 'bcd');
    assert.equal(selected('nightly'), 'b');
    assert.equal(selected('nightly='), 'b');
  });

  test('names of what every object has are no labels', () => {
    assert.equal(selected('constructor'), '');
    assert.equal(matchesLabels(parseSelector('constructor!=x'), {}), true);
  });

  test('what is no selector is said so', () => {
    for (const text of ['', 'Team=x', 'a=b=c', 'a=,', '=x', '!a', 'a=b c'])
      assert.throws(
        () => parseSelector(text),
        (error) => isWeirError(error, 'USAGE'),
        text,
      );
  });

  test('a job file has at most 32, of the characters that selectors take', () => {
    const many = (count: number): unknown =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`l${n}`, 'x']));
    assert.equal(labelsSchema.safeParse(many(32)).success, true);
    assert.equal(labelsSchema.safeParse(many(33)).success, false);
    assert.equal(labelsSchema.safeParse({ team: 'a,b' }).success, false);
    assert.equal(labelsSchema.safeParse({ Team: 'a' }).success, false);
  });
});
