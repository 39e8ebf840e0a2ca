import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { timeZoneOf } from '../../scan/time-zone.ts';
import { datePatternOf, DateTexts, formatDatePattern } from './date-patterns.ts';
import { Runtime } from './runtime.ts';

const patterns = [
  'yyyy-MM-dd',
  "yyyy-MM-dd'T'HH:mm:ss.SSS",
  'yyyy-MM-dd HH:mm',
  "EEEE d. MMMM y 'Ämter'",
  'D QQQ',
  'h a',
  'kk:mm:ss',
  'dd[ HH[:mm]]',
  'yyyy-MM-dd xxx',
  'z VV O',
];
const zones = ['UTC', '+05:45', 'Europe/Paris', 'Australia/Lord_Howe', 'Africa/Casablanca'];
/** Changes of the clocks in these zones, and the turn of a year. */
const moments = [
  '2024-03-31T01:00:00Z',
  '2024-10-05T15:30:00Z',
  '2024-10-27T01:00:00Z',
  '2025-01-01T00:00:00Z',
  '1969-12-31T23:59:59Z',
];

test('property: texts of times one after the other are those of each by itself', () => {
  const time = fc
    .tuple(fc.constantFrom(...moments), fc.integer({ min: -200_000_000, max: 200_000_000 }), fc.nat(999))
    .map(([moment, ms, us]) => (Date.parse(moment) + ms) * 1000 + us);
  // Most are near the one before.
  const step = fc.oneof(
    fc.constant(0),
    fc.nat(900),
    fc.nat(2_000_000),
    fc.nat(4_000_000_000),
    fc.integer({ min: -90e9, max: 90e9 }),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...patterns),
      fc.constantFrom(...zones),
      time,
      fc.array(step, { maxLength: 12 }),
      (pattern, zoneId, first, steps) => {
        const [compiled, zone] = [datePatternOf(pattern), timeZoneOf(zoneId)];
        assert.ok(compiled !== undefined && zone !== undefined);
        const texts = new DateTexts(compiled);
        const runtime = new Runtime(zone);
        let at = first;
        for (const by of [0, ...steps]) {
          at += by;
          texts.write(runtime, at);
          const written = runtime.text(runtime.data, runtime.s, runtime.l, runtime.f);
          assert.equal(written, formatDatePattern(compiled, at, zone));
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('a text is made anew for another zone', () => {
  const compiled = datePatternOf('yyyy-MM-dd HH');
  assert.ok(compiled !== undefined);
  const texts = new DateTexts(compiled);
  const textIn = (zoneId: string): string => {
    const zone = timeZoneOf(zoneId);
    assert.ok(zone !== undefined);
    const runtime = new Runtime(zone);
    texts.write(runtime, Date.parse('2024-06-01T23:30:00Z') * 1000);
    return runtime.text(runtime.data, runtime.s, runtime.l, runtime.f);
  };
  assert.deepEqual([textIn('UTC'), textIn('+02:00')], ['2024-06-01 23', '2024-06-02 01']);
});
