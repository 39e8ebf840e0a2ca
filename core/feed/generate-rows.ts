/** Rows by a rule: a row is a function of seed and number alone, but for `now`. */
import { durationMs } from '../duration.ts';
import type { GeneratorSpec } from '../job/feed-spec.ts';
import { seededRng } from '../random.ts';
import type { FeedRow } from './feed.ts';

const encoder = new TextEncoder();

type Rule = GeneratorSpec['fields'][string];

/** Row number `n`, from 0, made at `nowMs`. */
export function generatedRow(spec: GeneratorSpec, n: number, nowMs: number): FeedRow {
  const rng = seededRng((spec.seed ^ Math.imul(n + 1, 0x9e3779b1)) >>> 0);
  const fraction = (): number => rng.u32() / 2 ** 32;
  const fields = Object.entries(spec.fields).map(([name, rule]): [string, unknown] => [
    name,
    valueOf(rule, n, nowMs, fraction, () => rng.uuid()),
  ]);
  return { id: String(n), value: encoder.encode(JSON.stringify(Object.fromEntries(fields))) };
}

function valueOf(rule: Rule, n: number, nowMs: number, fraction: () => number, uuid: () => string): unknown {
  if ('sequence' in rule) return rule.sequence.start + n * rule.sequence.step;
  if ('integer' in rule) {
    const { min, max } = rule.integer;
    return min + Math.floor(fraction() * (max - min + 1));
  }
  if ('number' in rule) {
    const { min, max, decimals } = rule.number;
    return Number((min + fraction() * (max - min)).toFixed(decimals));
  }
  if ('oneOf' in rule) return rule.oneOf[Math.floor(fraction() * rule.oneOf.length)];
  if ('text' in rule) return rule.text.replaceAll('{n}', String(n));
  if ('uuid' in rule) return uuid();
  if ('now' in rule) return new Date(nowMs).toISOString();
  return new Date(Date.parse(rule.time.start) + n * durationMs(rule.time.step)).toISOString();
}
