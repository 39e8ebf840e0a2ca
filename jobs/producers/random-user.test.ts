import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { User } from './random-user.ts';
import { UserGenerator } from './random-user.ts';

const sample = (seed: number, count: number): User[] => {
  const generator = new UserGenerator(seed);
  return Array.from({ length: count }, (_, index) => JSON.parse(generator.at(index).value) as User);
};

test('a user is a function of seed and index', () => {
  const forwards = new UserGenerator(42);
  const first = Array.from({ length: 100 }, (_, index) => forwards.at(index));
  const backwards = new UserGenerator(42);
  for (let index = 99; index >= 0; index--) assert.deepEqual(backwards.at(index), first[index]);
  assert.notDeepEqual(new UserGenerator(43).at(0), first[0]);
});

test('bytes are the text in UTF-8', () => {
  const generator = new UserGenerator(3);
  for (let index = 0; index < 2000; index++) {
    const { key, value } = generator.at(index);
    const bytes = generator.bytesAt(index);
    assert.equal(Buffer.from(bytes.key).toString(), key);
    assert.equal(Buffer.from(bytes.value).toString(), value);
  }
});

test('the twelve fields, in the shape a registration has', () => {
  for (const user of sample(1, 2000)) {
    assert.deepEqual(Object.keys(user), [
      'id',
      'first_name',
      'last_name',
      'gender',
      'address',
      'post_code',
      'email',
      'username',
      'dob',
      'registered_date',
      'phone',
      'picture',
    ]);
    assert.match(user.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.match(user.email, /^[a-z.]+\d+@[a-z.]+$/);
    assert.ok(user.gender === 'female' || user.gender === 'male');
    assert.ok(user.post_code === null || Number.isInteger(user.post_code));
    assert.equal(new Date(user.dob).toISOString(), user.dob);
    assert.equal(new Date(user.registered_date).toISOString(), user.registered_date);
    assert.ok(user.dob < '2006' && user.registered_date < '2026');
  }
});

test('keys are the ids and do not repeat', () => {
  const generator = new UserGenerator(5);
  const keys = new Set<string>();
  for (let index = 0; index < 50_000; index++) {
    const { key, value } = generator.at(index);
    assert.ok(value.startsWith(`{"id":"${key}"`));
    keys.add(key);
  }
  assert.equal(keys.size, 50_000);
});

test('the mixture: about 460 bytes, some without a post code, most beyond ASCII', () => {
  const generator = new UserGenerator(9);
  const count = 8000;
  let bytes = 0;
  for (let index = 0; index < count; index++) bytes += Buffer.byteLength(generator.at(index).value);
  assert.ok(Math.abs(bytes / count - 460) < 40, `mean size ${bytes / count}`);
  const users = sample(9, count);
  const withoutPostCode = users.filter((user) => user.post_code === null).length / count;
  assert.ok(withoutPostCode > 0.04 && withoutPostCode < 0.09, String(withoutPostCode));
  const beyondAscii = users.filter((user) =>
    /[^\x20-\x7e]/.test(user.first_name + user.last_name + user.address),
  ).length;
  assert.ok(beyondAscii / count > 0.7, String(beyondAscii / count));
  assert.ok(new Set(users.map((user) => `${user.first_name} ${user.last_name}`)).size > 300);
});
