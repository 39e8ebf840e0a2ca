import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadJobFile } from './file.ts';
import { sparkOptions } from './spark-options.ts';

const head = 'apiVersion: weir/v1\nkind: Job\nname: users\nquery: SELECT id FROM users\n';
const source = (more: string): string =>
  `sources:\n  users: { connector: kafka, topic: users, schema: id STRING${more} }\n`;
const sink = (more: string): string =>
  `sinks:\n  - { connector: cassandra, keyspace: k, table: t, primaryKey: [id]${more} }\n`;

function hintOf(file: string): string {
  const { problems } = loadJobFile(file);
  assert.equal(problems.length, 1, JSON.stringify(problems));
  return problems[0]?.hint ?? '';
}

describe("Spark's spellings in a job file", () => {
  test('each option that is called otherwise here is a mistake with a hint', () => {
    for (const { place, name, here, note } of sparkOptions) {
      const value = `, ${JSON.stringify(name)}: x`;
      const file =
        place === 'query'
          ? `${head}${JSON.stringify(name)}: x\n${source('')}${sink('')}`
          : place === 'kafkaSource'
            ? head + source(value) + sink('')
            : place === 'cassandraSink'
              ? head + source('') + sink(value)
              : `${head}${source('')}sinks: [{ connector: kafka, topic: t${value} }]\n`;
      const { problems } = loadJobFile(file);
      // Of the same name: what is wrong is the value, or that the key stands there twice.
      if (problems.every(({ message }) => !message.includes('has no option'))) {
        assert.ok(here.startsWith(`${name}: `) || problems.length > 0, name);
        continue;
      }
      const hint = hintOf(file);
      assert.ok(hint.startsWith("Spark's option is "), `${name}: ${hint}`);
      assert.ok(hint.includes(here === '' ? 'not needed' : here) && hint.includes(note), `${name}: ${hint}`);
    }
  });

  test('case is as in Spark', () => {
    assert.match(hintOf(`${head}CheckpointLocation: /tmp/x\n${source('')}${sink('')}`), /weir import-checkpoint/);
  });

  test('other mistakes keep their hints', () => {
    assert.equal(hintOf(`${head}outputmode: update\n${source('')}${sink('')}`), 'did you mean outputMode?');
    assert.equal(hintOf(head + source(', startingOffset: earliest') + sink('')), 'did you mean startingOffsets?');
  });
});
