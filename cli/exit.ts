/** What the `weir` command ends with: part of its interface, for scripts. */
export const exitCodes = {
  ok: 0,
  /** A job or an operation failed. */
  failed: 1,
  usage: 2,
  /** The job file, or SQL within it, has mistakes. */
  invalid: 3,
  notFound: 4,
  /** It exists already, is in use, or in the wrong state. */
  conflict: 5,
  notAllowed: 6,
  /** The master, or a service it needs, does not answer. */
  unreachable: 7,
  timedOut: 8,
  /** `weir diff` found differences. */
  differs: 10,
  interrupted: 130,
} as const;
