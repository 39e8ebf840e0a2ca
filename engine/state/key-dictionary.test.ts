import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteCells } from './byte-cells.ts';
import { GroupLists } from './group-lists.ts';
import { KeyDictionary } from './key-dictionary.ts';
import { hashBytes } from './key-encoder.ts';

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

function textOf(keys: KeyDictionary, id: number): string {
  const { data, start, length } = keys;
  return Buffer.from(data.subarray(start[id], start[id]! + length[id]!)).toString('latin1');
}

// Few letters, so that keys meet often.
const key = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 5 }).map((text) => `${text}.`);

for (const ids of ['dense', 'byGroup'] as const) {
  test(`a dictionary with ${ids} ids behaves like a map of keys to ids`, () => {
    const step = fc.record({ remove: fc.boolean(), key });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const keys = new KeyDictionary(ids);
        const model = new Map<string, number>();
        for (const { remove, key: text } of steps) {
          const bytes = bytesOf(text);
          const id = keys.find(bytes, 0, bytes.length);
          assert.equal(id, model.get(text) ?? -1);
          if (remove) {
            if (id < 0) continue;
            keys.remove(id);
            model.delete(text);
            assert.equal(keys.has(id), false);
          } else {
            const added = keys.add(bytes, 0, bytes.length);
            if (model.has(text)) assert.equal(added, model.get(text));
            else assert.equal([...model.values()].includes(added), false, 'an id in use was given again');
            model.set(text, added);
          }
          assert.equal(keys.size, model.size);
        }
        for (const [text, id] of model) assert.equal(textOf(keys, id), text);
      }),
    );
  });
}

test('ids of removed keys are used again, so columns stay small', () => {
  const keys = new KeyDictionary();
  const keyOf = (round: number): Uint8Array =>
    bytesOf(`key ${round}, which is rather long so that the arena would grow`);
  for (let round = 0; round < 2000; round++) {
    const bytes = keyOf(round);
    assert.ok(keys.add(bytes, 0, bytes.length) <= 11);
    if (round < 10) continue;
    const former = keyOf(round - 10);
    keys.remove(keys.find(former, 0, former.length));
  }
  assert.equal(keys.size, 10);
  assert.ok(keys.limit <= 12);
  assert.ok(keys.data.byteLength < 300_000, `${keys.data.byteLength} bytes for ten keys`);
});

test('a hundred thousand keys are found again after the table grew and shrank', () => {
  const keys = new KeyDictionary();
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  for (let n = 0; n < 100_000; n++) {
    view.setInt32(0, n);
    assert.equal(keys.add(bytes, 0, 4), n);
  }
  for (let n = 0; n < 100_000; n++) if (n % 100 !== 0) keys.remove(n);
  for (let n = 0; n < 100_000; n++) {
    view.setInt32(0, n);
    assert.equal(keys.find(bytes, 0, 4), n % 100 === 0 ? n : -1);
  }
  assert.ok(keys.bytes < 2_500_000, `${keys.bytes} bytes are held for a thousand keys`);
});

test('hashes are those of Murmur3 (x86, seed 0) and never change', () => {
  // Vectors of the reference implementation.
  const vectors: [string, number][] = [
    ['', 0],
    ['a', 0x3c2569b2],
    ['abc', 0xb3dd93fa],
    ['test', 0xba6bd213],
    ['Hello, world!', 0xc0363e43],
    ['The quick brown fox jumps over the lazy dog', 0x2e4ff723],
  ];
  for (const [text, hash] of vectors) assert.equal(hashBytes(bytesOf(text), 0, text.length) >>> 0, hash >>> 0, text);
});

test('cells keep what was set, whatever is set and cleared around them', () => {
  const step = fc.record({ id: fc.nat(20), size: fc.option(fc.nat(3000), { nil: null }), fill: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const cells = new ByteCells();
      const model = new Map<number, Uint8Array>();
      for (const { id, size, fill } of steps) {
        if (size === null) {
          cells.clear(id);
          model.delete(id);
        } else {
          const bytes = new Uint8Array(size).fill(fill);
          cells.set(id, bytes, 0, size);
          model.set(id, bytes);
        }
      }
      for (let id = 0; id <= 20; id++) {
        const wanted = model.get(id);
        assert.equal(cells.has(id), wanted !== undefined);
        if (wanted === undefined) continue;
        const start = cells.start[id]!;
        assert.deepEqual(Buffer.from(cells.data.subarray(start, start + cells.length[id]!)), Buffer.from(wanted));
      }
    }),
  );
});

test('lists keep the order of arrival in every group', () => {
  const step = fc.record({ id: fc.nat(30), group: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const lists = new GroupLists();
      const model = new Map<number, number[]>();
      const groupOf = new Map<number, number>();
      for (const { id, group } of steps) {
        const former = groupOf.get(id);
        if (former !== undefined) {
          lists.remove(id);
          groupOf.delete(id);
          model.set(
            former,
            model.get(former)!.filter((other) => other !== id),
          );
          continue;
        }
        lists.add(group, id);
        groupOf.set(id, group);
        model.set(group, [...(model.get(group) ?? []), id]);
      }
      for (const [group, ids] of model) {
        assert.deepEqual([...lists.idsOf(group)], ids);
        assert.equal(lists.sizeOf(group), ids.length);
      }
      assert.deepEqual(
        lists.groups(),
        [...model]
          .filter(([, ids]) => ids.length > 0)
          .map(([group]) => group)
          .sort((a, b) => a - b),
      );
    }),
  );
});
