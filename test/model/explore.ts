/**
 * Exhaustive search through the states of a small model, breadth first: visits everything that can happen, in every
 * order, and gives the shortest way to what must not. States are short byte arrays, compared as a whole.
 */
export interface Model {
  readonly initial: Uint8Array;
  /** Calls `emit` for every step that can happen in `state`; the array handed over is copied. `label` is built on demand. */
  next(state: Uint8Array, emit: (label: () => string, after: Uint8Array) => void): void;
  /** What is wrong with the state, or null. Checked for every state. */
  check(state: Uint8Array): string | null;
  /** The work is done, or the bounds of the model end it. Every state must be able to get to such a one. */
  settled(state: Uint8Array): boolean;
}

export interface Exploration {
  readonly states: number;
  /** True when every reachable state was visited. */
  readonly complete: boolean;
  /** What is wrong and the steps that lead there. */
  readonly violation: { readonly message: string; readonly steps: readonly string[] } | null;
  /** States from which no settled one can be reached, with the steps to the first of them. */
  readonly stuck: { readonly count: number; readonly steps: readonly string[] } | null;
}

export function explore(model: Model, statesMax = 1_000_000): Exploration {
  const indexes = new Map<string, number>();
  const states: Uint8Array[] = [];
  const parents: number[] = [];
  const edges: { readonly from: number[]; readonly to: number[] } = { from: [], to: [] };
  const settled: number[] = [];
  const add = (state: Uint8Array, parent: number): number => {
    const key = keyOf(state);
    const known = indexes.get(key);
    if (known !== undefined) return known;
    const index = states.length;
    indexes.set(key, index);
    states.push(state.slice());
    parents.push(parent);
    return index;
  };
  const stepsTo = (index: number): string[] => {
    const chain: number[] = [];
    for (let at = index; at >= 0; at = parents[at] ?? -1) chain.push(at);
    chain.reverse();
    return chain
      .slice(1)
      .map((to, position) => labelOf(model, states[chain[position] ?? 0] as Uint8Array, states[to] as Uint8Array));
  };

  add(model.initial, -1);
  for (let index = 0; index < states.length; index++) {
    const state = states[index] as Uint8Array;
    const message = model.check(state);
    if (message !== null)
      return { states: states.length, complete: false, violation: { message, steps: stepsTo(index) }, stuck: null };
    if (model.settled(state)) settled.push(index);
    if (states.length > statesMax) return { states: states.length, complete: false, violation: null, stuck: null };
    model.next(state, (_label, after) => {
      const to = add(after, index);
      edges.from.push(index);
      edges.to.push(to);
    });
  }
  const unable = unableToReach(settled, states.length, edges);
  const stuck = unable.length === 0 ? null : { count: unable.length, steps: stepsTo(unable[0] ?? 0) };
  return { states: states.length, complete: true, violation: null, stuck };
}

function keyOf(state: Uint8Array): string {
  return Buffer.from(state.buffer, state.byteOffset, state.byteLength).toString('latin1');
}

function labelOf(model: Model, from: Uint8Array, to: Uint8Array): string {
  const wanted = keyOf(to);
  let found: string | null = null;
  model.next(from, (label, after) => {
    if (found === null && keyOf(after) === wanted) found = label();
  });
  return found ?? '?';
}

/** Backwards from the goals over the edges. */
function unableToReach(
  goals: readonly number[],
  count: number,
  edges: { readonly from: readonly number[]; readonly to: readonly number[] },
): number[] {
  const first = new Int32Array(count).fill(-1);
  const following = new Int32Array(edges.from.length);
  for (let edge = 0; edge < edges.from.length; edge++) {
    const to = edges.to[edge] ?? 0;
    following[edge] = first[to] ?? -1;
    first[to] = edge;
  }
  const able = new Uint8Array(count);
  const queue = [...goals];
  for (const goal of goals) able[goal] = 1;
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    for (let edge = first[state] ?? -1; edge >= 0; edge = following[edge] ?? -1) {
      const from = edges.from[edge] ?? 0;
      if (able[from] === 1) continue;
      able[from] = 1;
      queue.push(from);
    }
  }
  return [...able.keys()].filter((state) => able[state] === 0);
}
