/**
 * Generated loops, compiled once per text and thread: what is compiled from the same query again begins with code that is
 * warm. A closure made again of the same function shares what the engine learned of it; one made from a new compilation
 * starts cold, and a worker that takes key groups over would interpret its loops for the first seconds.
 */
const factories = new Map<string, (constants: unknown, runtime: unknown) => unknown>();

/** Texts remembered: jobs that are changed for ever must not fill the memory. */
const FACTORIES_MAX = 1000;

/** The function that `source`, the body of a factory with the arguments `k` and `rt`, gives for these. */
export function generated(source: string, constants: unknown, runtime: unknown): unknown {
  let factory = factories.get(source);
  if (factory === undefined) {
    if (factories.size >= FACTORIES_MAX) factories.clear();
    factory = new Function('k', 'rt', source) as (constants: unknown, runtime: unknown) => unknown;
    factories.set(source, factory);
  }
  return factory(constants, runtime);
}
