import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { parseSparkLine } from './spark-submit.ts';

const folder = mkdtempSync(join(tmpdir(), 'weir-spark-'));
after(() => rmSync(folder, { recursive: true }));

suite('command lines of spark-submit', () => {
  test('flags in both forms, properties, the application and its arguments', () => {
    const file = join(folder, 'spark.conf');
    writeFileSync(file, '# comment\nspark.app.name  from-file\nspark.a=1\n\nspark.b: 2\n');
    const { values, switches, properties, rest } = parseSparkLine([
      '--master',
      'spark://h:7077',
      '--deploy-mode=cluster',
      '-c',
      'spark.a=9',
      '--conf',
      'spark.c=x=y',
      '--properties-file',
      file,
      '--supervise',
      '-v',
      'job.yaml',
      '--not-a-flag',
      '1',
    ]);
    assert.deepEqual(Object.fromEntries(values), {
      '--master': 'spark://h:7077',
      '--deploy-mode': 'cluster',
      '--properties-file': file,
    });
    assert.deepEqual([...switches], ['--supervise', '--verbose']);
    assert.deepEqual(Object.fromEntries(properties), {
      'spark.app.name': 'from-file',
      'spark.a': '9',
      'spark.b': '2',
      'spark.c': 'x=y',
    });
    assert.deepEqual(rest, ['job.yaml', '--not-a-flag', '1']);
  });

  test('what Spark does not have either is refused', () => {
    assert.throws(() => parseSparkLine(['--exekutor', '1', 'job.yaml']), { code: 'USAGE' });
    assert.throws(() => parseSparkLine(['--conf', 'novalue', 'x']), { code: 'USAGE' });
    assert.throws(() => parseSparkLine(['--name']), { code: 'USAGE' });
  });
});
