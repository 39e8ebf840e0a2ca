import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { age, base64Of, bytes, count, decode, duration, lag, plural, ratio } from './format.ts';

suite('figures for people', () => {
  test('counts, bytes, shares', () => {
    assert.deepEqual([0, 2.44, 941, 12_480, 1_240_000].map(count), ['0', '2.4', '941', '12,480', '1.24 M']);
    assert.deepEqual([0, 999, 1000, 1_048_576, 1.5e9].map(bytes), ['0 B', '999 B', '1.0 KB', '1.0 MB', '1.4 GB']);
    assert.deepEqual([0, 0.001, 0.5, 1].map(ratio), ['0 %', '<1 %', '50 %', '100 %']);
    assert.deepEqual([lag(-1), lag(5), plural(1, 'job'), plural(0, 'job')], ['?', '5', '1 job', '0 jobs']);
  });

  test('durations and ages', () => {
    assert.deepEqual([null, 0.84, 44.4, 1234, 65_000].map(duration), ['–', '0.8 ms', '44 ms', '1.2 s', '1 min 5 s']);
    assert.deepEqual([900, 59_000, 600_000, 3_600_000, 4_500_000, 2e8].map(age), [
      '1 s',
      '59 s',
      '10 min',
      '1 h',
      '1 h 15 min',
      '2 d',
    ]);
  });

  test('values: JSON is indented, text stays, broken text is marked, bytes come as hexadecimal', () => {
    assert.deepEqual(decode(null), { kind: 'null', text: 'null' });
    assert.deepEqual(decode(base64Of('{"a":1}')), { kind: 'json', text: '{\n  "a": 1\n}' });
    assert.deepEqual(decode(base64Of('Ødegård 12')), { kind: 'text', text: 'Ødegård 12' });
    const broken = Buffer.concat([
      Buffer.from('{"name":"some long enough text '),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ]);
    assert.equal(decode(broken.toString('base64')).kind, 'broken');
    assert.match(decode(Buffer.from([0, 1, 255, 254]).toString('base64')).text, /^000000 {2}00 01 ff fe/);
  });
});
