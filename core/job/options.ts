/** Kinds of options that many parts of a job file have. */
import { z } from 'zod';
import { durationPattern, durationUs } from '../duration.ts';

const durationMessage = 'a duration is a whole number with a unit: 50ms, 10s, 5m, 1h';
/** A length of time as text; {@link durationUs} reads it. */
export const duration = z
  .string()
  .regex(durationPattern, durationMessage)
  .refine((text) => !durationPattern.test(text) || durationUs(text) !== undefined, durationMessage)
  .describe("A duration: 50ms, 10s, 5m, 1h, or as Spark writes it: '10 seconds'");

/** A number of bytes, at least 1. */
export const bytes = z.number().int().positive();
/** How many, at least 1. */
export const count = z.number().int().positive();

const sizePattern = /^([1-9]\d*) ?(B|KB|MB|GB|KiB|MiB|GiB)$/;
const sizeUnits: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['KB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
]);
/** A number of bytes as text with a unit, or as a number; {@link sizeBytes} reads it. */
export const size = z
  .union([bytes, z.string().regex(sizePattern, 'a size is a whole number with a unit: 64KiB, 16MB, 1GB')])
  .describe('A size: 16MB, 64KiB, or a number of bytes');

/** Of a valid {@link size}. */
export function sizeBytes(text: string | number): number {
  if (typeof text === 'number') return text;
  const [, digits = '', unit = ''] = sizePattern.exec(text) ?? [];
  return Number(digits) * (sizeUnits.get(unit) ?? 1);
}
