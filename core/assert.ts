/**
 * Checks that stay on in production. A failed one is a bug in Weir, never wrong input: it stops the task, loudly,
 * and the master starts it again from the last checkpoint.
 */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** The message is a function so that the good path builds no string. */
export function assert(condition: unknown, message: () => string): asserts condition {
  if (!condition) throw new InvariantError(message());
}

/** The value, where `undefined` or `null` would be a bug. */
export function must<T>(value: T | undefined | null, message: () => string): T {
  if (value === undefined || value === null) throw new InvariantError(message());
  return value;
}

/** For the default branch of a switch over a union: compiles only when every case is handled. */
export function unreachable(value: never): never {
  throw new InvariantError(`unhandled case: ${JSON.stringify(value)}`);
}
