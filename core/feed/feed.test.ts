/** The decisions of feeds, one by one. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { WeirError } from '../errors.ts';
import type { GeneratorSpec } from '../job/feed-spec.ts';
import { feedSpecSchema } from '../job/feed-spec.ts';
import { seededRng } from '../random.ts';
import { pauseAfterFailure, retryAfterMs } from './backoff.ts';
import { afterDetail, afterList, crawlCursor, nextCrawl, pageAddress } from './crawl.ts';
import { csvObjects } from './csv-rows.ts';
import { generatedRow } from './generate-rows.ts';
import { parseJson, valueAt } from './json-path.ts';
import { robotRules } from './robots.ts';
import { SeenRows } from './seen.ts';
import { xmlValue } from './xml-value.ts';

suite('pauses after failures', () => {
  const pauses = (error: unknown): number[] => {
    const rng = seededRng(1);
    return Array.from({ length: 200 }, (_, index) => pauseAfterFailure(error, index % 30, rng));
  };

  test('grow up to a minute for what may pass, to five for what somebody has to put right', () => {
    const passing = pauses(new WeirError('SOURCE_UNAVAILABLE', ''));
    assert.ok(Math.max(...passing) > 30_000 && Math.max(...passing) <= 60_125);
    assert.ok(Math.min(...passing) >= 125);
    const lasting = pauses(new WeirError('UNAUTHORIZED', ''));
    assert.ok(Math.max(...lasting) > 150_000 && Math.max(...lasting) <= 302_500);
    assert.ok(Math.min(...lasting) >= 2500);
    assert.ok(new Set(passing).size > 100, 'spread at random');
  });

  test('never end before the place said, nor last for more than an hour', () => {
    for (const ms of pauses(new WeirError('SOURCE_UNAVAILABLE', '', { facts: { retryAfterMs: 9000 } })))
      assert.ok(ms >= 9000 && ms <= 9250);
    for (const ms of pauses(new WeirError('SOURCE_UNAVAILABLE', '', { facts: { retryAfterMs: 1e12 } })))
      assert.ok(ms <= 3_600_250);
  });

  test('Retry-After in seconds and as a date', () => {
    const now = Date.UTC(2024, 0, 1);
    assert.equal(retryAfterMs('120', now), 120_000);
    assert.equal(retryAfterMs('Mon, 01 Jan 2024 00:00:30 GMT', now), 30_000);
    assert.equal(retryAfterMs('Sun, 31 Dec 2023 00:00:00 GMT', now), 0);
    assert.equal(retryAfterMs('soon', now), undefined);
    assert.equal(retryAfterMs(null, now), undefined);
  });
});

suite('rows seen lately', () => {
  test('are known while they stay the same; the oldest are forgotten', () => {
    const seen = new SeenRows(2);
    seen.add('a', '1');
    seen.add('b', '1');
    assert.ok(seen.has('a', '1'));
    assert.ok(!seen.has('a', '2'));
    seen.add('a', '2');
    seen.add('c', '1');
    assert.deepEqual([seen.knows('a'), seen.knows('b'), seen.knows('c'), seen.size], [true, false, true, 2]);
    // There and back again is a change.
    assert.ok(!seen.has('a', '1'));
  });

  test('none, where none are to be remembered', () => {
    const seen = new SeenRows(0);
    seen.add('a', '1');
    assert.equal(seen.size, 0);
  });
});

suite('JSON, CSV and XML', () => {
  test('JSON is the same when it is written again, with all digits', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        assert.equal(JSON.stringify(parseJson(text)), text);
      }),
    );
    for (const text of ['12345678901234567890', '[1.10,-0.0,1e400]', '{"__proto__":1}'])
      assert.equal(JSON.stringify(parseJson(text)), text);
  });

  test('paths do not reach what everything has', () => {
    assert.equal(valueAt({ a: [{ b: 1 }] }, 'a.0.b'), 1);
    assert.equal(valueAt({}, 'constructor.name'), undefined);
    assert.equal(valueAt([1], 'length'), undefined);
    assert.equal(valueAt('text', 'length'), undefined);
  });

  test('CSV comes back as it was written', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r', ' ', 'é') });
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { minLength: 1 }), (rows) => {
        const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
        const text = ['x,y', ...rows.map((row) => row.map(quoted).join(','))].join('\r\n');
        assert.deepEqual(
          csvObjects(text),
          rows.map(([x, y]) => ({ x, y })),
        );
      }),
    );
    assert.equal(JSON.stringify(csvObjects('a,b,c\n007,1.50,\n')), '[{"a":"007","b":1.50,"c":null}]');
    assert.throws(() => csvObjects('a\n"open'), SyntaxError);
  });

  test('XML with all that it may hold, and without what it may not', () => {
    const text = `<?xml version="1.0"?><r a="1 &lt; 2"><!-- <x> --><b>1</b><b/><c><![CDATA[<&>]]></c>&#228;</r>`;
    assert.deepEqual(JSON.stringify(xmlValue(text)), '{"r":{"@a":"1 < 2","b":[1,null],"c":"<&>","#text":"ä"}}');
    for (const wrong of [
      '',
      'text',
      '<a>',
      '<a></b>',
      '<a/><b/>',
      '<!DOCTYPE x [<!ENTITY e "ee">]><a>&e;</a>',
      '<a b=1/>',
    ])
      assert.throws(() => xmlValue(wrong), SyntaxError, wrong);
    assert.throws(() => xmlValue('<a>'.repeat(100) + '</a>'.repeat(100)), /nested deeper/);
  });
});

suite('robots.txt', () => {
  const rules = robotRules(
    `User-agent: *
Disallow: /admin/
Allow: /admin/public
Disallow: /*.pdf$
Crawl-delay: 3

User-agent: other
User-agent: weir
Disallow: /
Allow: /open # all of it
`,
    'somebody',
  );

  test('the longest rule decides', () => {
    assert.ok(!rules.allows('/admin/x'));
    assert.ok(rules.allows('/admin/public/x'));
    assert.ok(!rules.allows('/a/b.pdf'));
    assert.ok(rules.allows('/a/b.pdf?x'));
    assert.ok(rules.allows('/'));
    assert.equal(rules.delayMs, 3000);
  });

  test('a group of the own name stands before the one for everybody', () => {
    const own = robotRules('User-agent: *\nDisallow: /\n\nUser-agent: Weir\nDisallow: /x\n', 'weir (stream processor)');
    assert.ok(own.allows('/y') && !own.allows('/x'));
  });

  test('nothing there forbids nothing', () => {
    assert.ok(robotRules('', 'weir').allows('/'));
    assert.ok(robotRules('User-agent: *\nDisallow:\n', 'weir').allows('/'));
  });
});

suite('a crawl', () => {
  test('reads a list page, then what it links to, then the next', () => {
    const read: string[] = [];
    const site = new Map([
      ['l1', { links: ['a', 'b', 'a'], next: 'l2' }],
      ['l2', { links: ['c'], next: 'l2' }],
    ]);
    let cursor = crawlCursor(null);
    for (let step = nextCrawl(cursor, 'l1'); step.kind !== 'over'; step = nextCrawl(cursor, 'l1')) {
      read.push(step.url);
      const page = site.get(step.url);
      cursor =
        step.kind === 'list' && page ? afterList(cursor, step.url, page.links, page.next, 10) : afterDetail(cursor);
    }
    assert.deepEqual(read, ['l1', 'a', 'b', 'l2', 'c']);
  });

  test('addresses without what makes no other page', () => {
    assert.equal(pageAddress('b?utm=1&x=2#top', 'http://h/a/', ['utm']), 'http://h/a/b?x=2');
    assert.equal(pageAddress('javascript:void(0)', 'http://h/', []), null);
    assert.equal(pageAddress('http://[', 'http://h/', []), null);
  });
});

test('generated rows are a function of seed and number', () => {
  const spec = feedSpecSchema.parse({
    connector: 'generator',
    fields: {
      n: { sequence: { start: 5, step: 2 } },
      i: { integer: { min: 1, max: 3 } },
      f: { number: { min: 0, max: 1 } },
      o: { oneOf: ['a', null] },
      t: { text: 'row {n}' },
      u: { uuid: true },
      at: { time: { start: '2024-01-01T00:00:00Z', step: '1m' } },
    },
  }) as GeneratorSpec;
  const rowAt = (n: number): Record<string, unknown> =>
    JSON.parse(new TextDecoder().decode(generatedRow(spec, n, 0).value)) as Record<string, unknown>;
  assert.deepEqual(rowAt(7), rowAt(7));
  assert.notDeepEqual(rowAt(7)['u'], rowAt(8)['u']);
  assert.deepEqual([rowAt(7)['n'], rowAt(7)['t'], rowAt(7)['at']], [19, 'row 7', '2024-01-01T00:07:00.000Z']);
  const integers = new Set(Array.from({ length: 100 }, (_, n) => rowAt(n)['i']));
  assert.deepEqual([...integers].toSorted(), [1, 2, 3]);
});
