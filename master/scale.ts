/** A job that is to use only some of the workers: the others are, to it, as if they were leaving. */

/**
 * The workers with `draining` set on those beyond `max` (null or absent = no limit). Those that `hold` something of the
 * job stay before others, then by id, so that nothing moves without need.
 */
export function limitWorkers<W extends { readonly id: string; readonly draining: boolean }>(
  workers: readonly W[],
  max: number | null | undefined,
  hold: ReadonlySet<string>,
): W[] {
  if (max === null || max === undefined) return [...workers];
  const ranked = workers
    .filter(({ draining }) => !draining)
    .toSorted((a, b) => Number(hold.has(b.id)) - Number(hold.has(a.id)) || (a.id < b.id ? -1 : 1));
  const chosen = new Set(ranked.slice(0, max).map(({ id }) => id));
  return workers.map((worker) => (chosen.has(worker.id) ? worker : { ...worker, draining: true }));
}
