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
