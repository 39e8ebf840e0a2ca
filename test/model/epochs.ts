/**
 * The epoch protocol as a model: a job whose map stage reads two partitions and sends rows of two key groups to reduce
 * tasks; two masters, two workers. Hostile on purpose: compare-and-sets may be applied late, sink writes late and any
 * number of times, also when their sender is gone; orders, frames and reports stay deliverable for ever; a worker may
 * lose its memory at any moment; a master may stop and another take over, and both may believe to lead.
 *
 * What the model keeps of the real thing: the fence written before reading; plans durable before their orders; plan and
 * commit conditional on fence and epoch; orders by (token, attempt) that name who maps and who reduces; a reduce task
 * that folds an epoch from all frames of one attempt, closed by END, at once or not at all; state that stands at an epoch
 * and is never folded twice; state restored from a snapshot and the replay of logged plans; sink writes at
 * (run, epoch, attempt); DONE after every acknowledgement and counted for the current attempt only; commits in order.
 *
 * Checked in every state: every value in the sink is the exact result at the epoch it was written for; what is committed
 * is in the sink; commits do not go backwards; folded state is exact; a row keyed by epoch holds what its plan holds.
 */
import { must } from '../../core/assert.ts';
import type { Model } from './explore.ts';

/** Each switch takes one mechanism away. */
export interface EpochMutations {
  /** The sink keeps what arrived last, whatever its time. */
  readonly arrivalOrder?: boolean;
  /** DONE before the sink has acknowledged. */
  readonly doneBeforeAck?: boolean;
  /** Orders are sent while the plan is still on its way to the store. */
  readonly planNotDurable?: boolean;
  /** A plan is written whatever has been planned. */
  readonly planUnconditional?: boolean;
  /** A commit is written whatever has been committed. */
  readonly commitUnconditional?: boolean;
  /** Reduce tasks fold what has come, without waiting for END. */
  readonly foldWithoutEnd?: boolean;
  /** Reduce tasks take frames of all attempts. */
  readonly mixAttempts?: boolean;
  /** State is folded again when a new attempt orders its epoch. */
  readonly foldTwice?: boolean;
  /** Lost state starts empty. */
  readonly restoreEmpty?: boolean;
  /** Lost state is taken from the snapshot without the plans behind it. */
  readonly restoreWithoutReplay?: boolean;
  /** A second run writes at the times of the first. */
  readonly runsShareTimes?: boolean;
  /** Plans and commits of a leader that was replaced are still accepted. */
  readonly noFence?: boolean;
  /** DONE of any attempt counts. */
  readonly acceptAnyAttempt?: boolean;
}

export interface EpochModelBounds {
  /** Key group of every record, per partition. */
  readonly partitions: readonly (readonly number[])[];
  readonly epochs: number;
  /** Leaders, one after the other. */
  readonly tokens: number;
  /** Attempts of one epoch under one leader. */
  readonly attempts: number;
  /** Epochs ordered and not committed. */
  readonly inFlight: number;
  /**
   * With 2 a zombie of an earlier run, which counted from other positions, has a write of every epoch and group under
   * way from the start.
   */
  readonly runs: 1 | 2;
  /** Ways to spread the tasks over the workers. */
  readonly placements: 1 | 2;
}

const GROUPS = 2;
const WORKERS = 2;
const MASTERS = 2;
/** Who maps, and who reduces group 0 and group 1. */
const placements: readonly (readonly [number, number, number])[] = [
  [0, 0, 1],
  [1, 1, 1],
];
const IDLE = 0;
const ELECTED = 1;
const LEADING = 2;
/** Bits of what a map task has sent to a group: a frame per partition, and END. */
const END = 4;
const ZOMBIE_VALUE = 9;

export function epochModel(bounds: EpochModelBounds, mutations: EpochMutations = {}): Model {
  const { partitions, epochs, tokens, attempts, inFlight, runs } = bounds;
  const all = tokens * attempts;
  const ends = rangeEnds(partitions);
  const [zero, last] = [0, ends.length - 1];
  const countOf = (plan: number, group: number): number => {
    const end = must(ends[plan], () => `no plan ${plan}`);
    return partitions.reduce((sum, keys, at) => sum + keys.slice(0, end[at]).filter((key) => key === group).length, 0);
  };
  const partOf = (from: number, to: number, partition: number, group: number): number => {
    const keys = must(partitions[partition], () => 'no partition');
    return keys.slice(ends[from]?.[partition], ends[to]?.[partition]).filter((key) => key === group).length;
  };
  const covers = (from: number, to: number): boolean =>
    must(ends[to], () => 'no plan').every((end, at) => end >= (ends[from]?.[at] ?? 0));

  let size = 0;
  const field = (count: number): number => {
    size += count;
    return size - count;
  };
  const LEASE = field(1);
  const FENCE = field(1);
  const COMMITTED = field(1);
  const HIGHEST = field(1);
  /** Plan + 1 of each epoch; epoch 0 is the start. */
  const PLAN = field(epochs + 1);
  /** Plans and commits sent, by token: bits of plans; 1. */
  const PLANS_SENT = field((tokens + 1) * (epochs + 1));
  const COMMITS_SENT = field((tokens + 1) * (epochs + 1));
  /** Placement + 1 and plan of every order; attempts count from 1 over all tokens. */
  const ORDER = field((epochs + 1) * (all + 1));
  const ORDER_PLAN = field((epochs + 1) * (all + 1));
  const ORDER_FROM = field((epochs + 1) * (all + 1));
  const FRAMES = field((epochs + 1) * (all + 1) * GROUPS);
  const WRITES = field((epochs + 1) * (all + 1) * GROUPS);
  const APPLIED = field((epochs + 1) * (all + 1) * GROUPS);
  const DONE = field((epochs + 1) * (all + 1) * WORKERS);
  /** What the row of each group shows: rank and value. */
  const ROW_RANK = field(GROUPS);
  const ROW = field(GROUPS);
  const ROW_EPOCH = field(GROUPS);
  /** A worker's group: epoch it stands at + 1, and its value after each epoch. */
  const STANDS = field(WORKERS * GROUPS);
  const VALUE = field(WORKERS * GROUPS * (epochs + 1));
  /** Masters: role, token, committed as known, current attempt of each epoch, commit submitted. */
  const MASTER_FIELDS = 4 + (epochs + 1) * 2;
  const MASTER = field(MASTERS * MASTER_FIELDS);
  const ZOMBIE = field(1);

  const at = (state: Uint8Array, index: number): number => state[index] as number;
  const order = (epoch: number, attempt: number): number => epoch * (all + 1) + attempt;
  const perGroup = (epoch: number, attempt: number, group: number): number => order(epoch, attempt) * GROUPS + group;
  const sent = (token: number, epoch: number): number => token * (epochs + 1) + epoch;
  const master = (index: number): number => MASTER + index * MASTER_FIELDS;
  const attemptOf = (index: number, epoch: number): number => master(index) + 4 + epoch;
  const viewOf = (index: number, epoch: number): number => master(index) + 4 + (epochs + 1) + epoch;
  const standsOf = (worker: number, group: number): number => STANDS + worker * GROUPS + group;
  const valueOf = (worker: number, group: number, epoch: number): number =>
    VALUE + (worker * GROUPS + group) * (epochs + 1) + epoch;
  const rankOf = (epoch: number, attempt: number): number => epoch * (all + 1) + attempt;

  const initial = new Uint8Array(size);
  initial[PLAN] = zero + 1;
  // Worker 0 holds both groups as they are before the first epoch.
  for (let group = 0; group < GROUPS; group++) initial[standsOf(0, group)] = 1;
  if (runs === 2) initial[ZOMBIE] = 1;

  const changed = (state: Uint8Array, ...changes: readonly (readonly [number, number])[]): Uint8Array => {
    const after = state.slice();
    for (const [index, value] of changes) after[index] = value;
    return after;
  };

  const applied = (state: Uint8Array, epoch: number, attempt: number, group: number): Uint8Array => {
    const write = perGroup(epoch, attempt, group);
    const after = changed(state, [APPLIED + write, 1]);
    const rank = rankOf(epoch, attempt);
    if (mutations.arrivalOrder === true || rank > at(after, ROW_RANK + group)) {
      after[ROW_RANK + group] = rank;
      after[ROW_EPOCH + group] = epoch;
      after[ROW + group] = at(after, WRITES + write);
    }
    return after;
  };

  /** What a serial read of the head and its plans shows. */
  const observed = (state: Uint8Array, index: number): Uint8Array => {
    const after = state.slice();
    if (at(after, master(index) + 2) !== at(after, COMMITTED)) after[master(index) + 3] = 0;
    after[master(index) + 2] = at(after, COMMITTED);
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const plan = at(after, PLAN + epoch);
      if (plan !== 0) after[viewOf(index, epoch)] = plan;
    }
    return after;
  };

  type Emit = Parameters<Model['next']>[1];

  const storeSteps = (state: Uint8Array, emit: Emit): void => {
    for (let token = 1; token <= tokens; token++) {
      const fenced = mutations.noFence !== true && at(state, FENCE) !== token;
      for (let epoch = 1; epoch <= epochs && !fenced; epoch++) {
        const plans = at(state, PLANS_SENT + sent(token, epoch));
        for (let plan = 0; plan < ends.length; plan++) {
          if ((plans & (1 << plan)) === 0) continue;
          const free = mutations.planUnconditional === true || at(state, PLAN + epoch) === 0;
          if (!free || at(state, PLAN + epoch - 1) === 0 || at(state, PLAN + epoch) === plan + 1) continue;
          if (!covers(at(state, PLAN + epoch - 1) - 1, plan)) continue;
          emit(
            () => `the plan of epoch ${epoch} (token ${token}, ends ${plan}) is written`,
            changed(state, [PLAN + epoch, plan + 1]),
          );
        }
        if (at(state, COMMITS_SENT + sent(token, epoch)) === 0) continue;
        if (mutations.commitUnconditional !== true && at(state, COMMITTED) !== epoch - 1) continue;
        if (at(state, COMMITTED) === epoch) continue;
        const highest = Math.max(at(state, HIGHEST), epoch);
        emit(
          () => `epoch ${epoch} is committed (token ${token})`,
          changed(state, [COMMITTED, epoch], [HIGHEST, highest]),
        );
      }
    }
    for (let epoch = 1; epoch <= epochs; epoch++) {
      for (let attempt = 1; attempt <= all; attempt++) {
        for (let group = 0; group < GROUPS; group++) {
          if (at(state, WRITES + perGroup(epoch, attempt, group)) === 0) continue;
          const after = applied(state, epoch, attempt, group);
          emit(() => `the write of epoch ${epoch}, attempt ${attempt}, group ${group} is applied`, after);
        }
      }
    }
    if (at(state, ZOMBIE) !== 0) {
      // Write times of a later run are above everything the earlier one could write.
      const wins = (group: number): boolean => mutations.runsShareTimes === true || at(state, ROW_RANK + group) === 0;
      for (let group = 0; group < GROUPS; group++) {
        if (!wins(group)) continue;
        const mixed = at(state, ROW_RANK + group) !== 0;
        if (!mixed) continue;
        emit(() => `a write of the run before reaches group ${group}`, changed(state, [ROW + group, ZOMBIE_VALUE + 1]));
      }
    }
  };

  const masterSteps = (state: Uint8Array, index: number, emit: Emit): void => {
    const base = master(index);
    const [role, token] = [at(state, base), at(state, base + 1)];
    if (role === IDLE) {
      if (at(state, LEASE) >= tokens) return;
      const next = at(state, LEASE) + 1;
      emit(
        () => `master ${index} is elected, token ${next}`,
        changed(state, [LEASE, next], [base, ELECTED], [base + 1, next]),
      );
      return;
    }
    // A master that stops where no other may follow is one that does nothing more.
    if (at(state, LEASE) < tokens)
      emit(() => `master ${index} stops`, state.slice().fill(0, base, base + MASTER_FIELDS));
    if (role === ELECTED) {
      if (at(state, FENCE) > token) return;
      emit(
        () => `master ${index} fences the job with token ${token}, then reads`,
        observed(changed(state, [FENCE, token], [base, LEADING]), index),
      );
      return;
    }
    if (at(state, FENCE) === token || mutations.noFence === true) {
      const after = observed(state, index);
      emit(() => `master ${index} learns what is written`, after);
    }
    const committed = at(state, base + 2);
    for (let epoch = committed + 1; epoch <= Math.min(epochs, committed + inFlight); epoch++) {
      const before = at(state, viewOf(index, epoch - 1)) || (epoch === 1 ? zero + 1 : at(state, PLAN + epoch - 1));
      if (before === 0) break;
      const view = at(state, viewOf(index, epoch));
      if (view === 0) {
        for (let plan = 0; plan < ends.length; plan++) {
          if (!covers(before - 1, plan) || plan === before - 1 || (epoch === epochs && plan !== last)) continue;
          if (epoch < epochs && plan === last) continue;
          const bits = at(state, PLANS_SENT + sent(token, epoch)) | (1 << plan);
          const after = changed(state, [PLANS_SENT + sent(token, epoch), bits]);
          if (mutations.planNotDurable === true) after[viewOf(index, epoch)] = plan + 1;
          emit(() => `master ${index} plans epoch ${epoch} with ends ${plan}`, after);
        }
        break;
      }
      const attempt = at(state, attemptOf(index, epoch));
      const frozen = epoch === committed + 1 && at(state, base + 3) === 1;
      if (attempt < attempts && !frozen) {
        const number = (token - 1) * attempts + attempt + 1;
        for (let placement = 0; placement < bounds.placements; placement++) {
          const after = changed(
            state,
            [attemptOf(index, epoch), attempt + 1],
            [ORDER + order(epoch, number), placement + 1],
            [ORDER_PLAN + order(epoch, number), view],
            [ORDER_FROM + order(epoch, number), before],
          );
          emit(() => `master ${index} orders epoch ${epoch}, attempt ${number}, placement ${placement}`, after);
        }
      }
    }
    const next = committed + 1;
    if (next > epochs) return;
    const current = at(state, attemptOf(index, next));
    const isDone = (attempt: number): boolean => {
      const placement = placements[at(state, ORDER + order(next, attempt)) - 1];
      return (
        placement !== undefined &&
        [0, 1].every(
          (worker) =>
            !placement.slice(1).includes(worker) || at(state, DONE + order(next, attempt) * WORKERS + worker) === 1,
        )
      );
    };
    const candidates =
      mutations.acceptAnyAttempt === true
        ? Array.from({ length: attempts }, (_, number) => (token - 1) * attempts + number + 1)
        : current === 0
          ? []
          : [(token - 1) * attempts + current];
    if (candidates.some(isDone)) {
      const after = changed(state, [COMMITS_SENT + sent(token, next), 1], [base + 3, 1]);
      emit(() => `master ${index} submits the commit of epoch ${next}`, after);
    }
  };

  const mapSteps = (state: Uint8Array, epoch: number, attempt: number, emit: Emit): void => {
    for (let group = 0; group < GROUPS; group++) {
      const frames = FRAMES + perGroup(epoch, attempt, group);
      const bits = at(state, frames);
      const everything = (1 << partitions.length) - 1;
      if (mutations.foldWithoutEnd !== true) {
        // Nothing depends on frames alone: they come with their END, or it is as if they had not come.
        emit(
          () => `all rows and END of epoch ${epoch}, attempt ${attempt}, reach group ${group}`,
          changed(state, [frames, everything | END]),
        );
        continue;
      }
      // The mapper may send in any order and die in between: what was sent stays, the rest never comes.
      for (let partition = 0; partition < partitions.length; partition++) {
        if ((bits & (1 << partition)) !== 0) continue;
        const after = changed(state, [frames, bits | (1 << partition)]);
        emit(() => `rows of partition ${partition} of epoch ${epoch}, attempt ${attempt}, reach group ${group}`, after);
        break;
      }
      if (bits === everything)
        emit(
          () => `END of epoch ${epoch}, attempt ${attempt}, for group ${group}`,
          changed(state, [frames, bits | END]),
        );
    }
  };

  /** Rows that have come to a group for an epoch, under one attempt or, mutated, under all. */
  const rowsIn = (state: Uint8Array, epoch: number, attempt: number, group: number): number => {
    let rows = 0;
    for (let other = 1; other <= all; other++) {
      if (other !== attempt && mutations.mixAttempts !== true) continue;
      const bits = at(state, FRAMES + perGroup(epoch, other, group));
      const [from, to] = [at(state, ORDER_FROM + order(epoch, other)), at(state, ORDER_PLAN + order(epoch, other))];
      if (from === 0 || to === 0) continue;
      for (let partition = 0; partition < partitions.length; partition++)
        if ((bits & (1 << partition)) !== 0) rows += partOf(from - 1, to - 1, partition, group);
    }
    return rows;
  };

  const reduceSteps = (
    state: Uint8Array,
    epoch: number,
    attempt: number,
    worker: number,
    group: number,
    emit: Emit,
  ): void => {
    const bits = at(state, FRAMES + perGroup(epoch, attempt, group));
    const complete = mutations.foldWithoutEnd === true ? bits !== 0 : (bits & END) !== 0;
    const stands = at(state, standsOf(worker, group)) - 1;
    if (stands < epoch - 1) {
      const committed = at(state, COMMITTED);
      if (committed < epoch - 1 && stands < 0) {
        // Restores what is committed, and folds what is planned from there in order.
        emit(
          () => `worker ${worker} restores group ${group} at ${committed}`,
          restored(state, worker, group, committed),
        );
      } else if (committed >= epoch - 1)
        emit(
          () => `worker ${worker} restores group ${group} at ${epoch - 1}`,
          restored(state, worker, group, epoch - 1),
        );
      return;
    }
    if (stands === epoch - 1 && complete) {
      const value = at(state, valueOf(worker, group, epoch - 1)) + rowsIn(state, epoch, attempt, group);
      const after = changed(state, [standsOf(worker, group), epoch + 1], [valueOf(worker, group, epoch), value]);
      emit(
        () => `worker ${worker} folds epoch ${epoch}, attempt ${attempt}, into group ${group}`,
        written(after, epoch, attempt, worker, group),
      );
      return;
    }
    if (stands < epoch || at(state, WRITES + perGroup(epoch, attempt, group)) !== 0) return;
    if (mutations.foldTwice === true && stands === epoch && complete) {
      const value = at(state, valueOf(worker, group, epoch)) + rowsIn(state, epoch, attempt, group);
      const after = changed(state, [valueOf(worker, group, epoch), value]);
      emit(
        () => `worker ${worker} folds epoch ${epoch} into group ${group} again`,
        written(after, epoch, attempt, worker, group),
      );
      return;
    }
    emit(
      () => `worker ${worker} writes epoch ${epoch} of group ${group} once more`,
      written(state, epoch, attempt, worker, group),
    );
  };

  const restored = (state: Uint8Array, worker: number, group: number, epoch: number): Uint8Array => {
    const plan = at(state, PLAN + epoch) - 1;
    const value =
      mutations.restoreEmpty === true || mutations.restoreWithoutReplay === true
        ? 0
        : countOf(Math.max(plan, 0), group);
    return changed(state, [standsOf(worker, group), epoch + 1], [valueOf(worker, group, epoch), value]);
  };

  const written = (state: Uint8Array, epoch: number, attempt: number, worker: number, group: number): Uint8Array =>
    changed(state, [WRITES + perGroup(epoch, attempt, group), at(state, valueOf(worker, group, epoch)) + 1]);

  const workerSteps = (state: Uint8Array, emit: Emit): void => {
    for (let worker = 0; worker < WORKERS; worker++) {
      const held = [...Array(GROUPS).keys()].some((group) => at(state, standsOf(worker, group)) !== 0);
      if (held) {
        const after = state.slice();
        for (let group = 0; group < GROUPS; group++) {
          after[standsOf(worker, group)] = 0;
          for (let epoch = 0; epoch <= epochs; epoch++) after[valueOf(worker, group, epoch)] = 0;
        }
        emit(() => `worker ${worker} loses its memory`, after);
      }
    }
    for (let epoch = 1; epoch <= epochs; epoch++) {
      for (let attempt = 1; attempt <= all; attempt++) {
        const placement = placements[at(state, ORDER + order(epoch, attempt)) - 1];
        if (placement === undefined) continue;
        // A newer order of the same leader or a newer leader: workers let go of the older one, sooner or later.
        mapSteps(state, epoch, attempt, emit);
        for (let group = 0; group < GROUPS; group++)
          reduceSteps(state, epoch, attempt, placement[group + 1] ?? 0, group, emit);
        for (let worker = 0; worker < WORKERS; worker++) {
          const done = DONE + order(epoch, attempt) * WORKERS + worker;
          const own = [0, 1].filter((group) => placement[group + 1] === worker);
          if (own.length === 0 || at(state, done) === 1) continue;
          const acknowledged = own.every((group) => {
            const write = perGroup(epoch, attempt, group);
            return mutations.doneBeforeAck === true
              ? at(state, WRITES + write) !== 0
              : at(state, APPLIED + write) === 1;
          });
          if (acknowledged)
            emit(() => `worker ${worker} reports epoch ${epoch}, attempt ${attempt}, done`, changed(state, [done, 1]));
        }
      }
    }
  };

  return {
    initial,
    next(state, emit) {
      const fresh: Emit = (label, after) => {
        if (Buffer.compare(state, after) !== 0) emit(label, after);
      };
      storeSteps(state, fresh);
      for (let index = 0; index < MASTERS; index++) masterSteps(state, index, fresh);
      workerSteps(state, fresh);
    },
    check(state) {
      const committed = at(state, COMMITTED);
      if (committed < at(state, HIGHEST)) return `epoch ${at(state, HIGHEST)} was committed, now it is ${committed}`;
      for (let group = 0; group < GROUPS; group++) {
        const [epoch, value] = [at(state, ROW_EPOCH + group), at(state, ROW + group) - 1];
        if (epoch > 0) {
          const plan = at(state, PLAN + epoch);
          if (plan === 0) return `group ${group} shows epoch ${epoch}, which nobody planned`;
          if (value !== countOf(plan - 1, group))
            return `group ${group} shows ${value} at epoch ${epoch}, it is ${countOf(plan - 1, group)}`;
        }
        if (epoch < committed) return `epoch ${committed} is committed and group ${group} shows epoch ${epoch}`;
      }
      for (let epoch = 1; epoch <= committed; epoch++)
        if (at(state, PLAN + epoch) === 0) return `epoch ${epoch} is committed without a plan`;
      return null;
    },
    settled(state) {
      if (at(state, COMMITTED) === epochs) return true;
      // The bounds are spent: no other leader may come, and the last one has ordered an epoch as often as it may.
      if (at(state, LEASE) < tokens) return false;
      for (let index = 0; index < MASTERS; index++) {
        if (at(state, master(index) + 1) !== tokens) continue;
        for (let epoch = 1; epoch <= epochs; epoch++) if (at(state, attemptOf(index, epoch)) === attempts) return true;
      }
      return false;
    },
  };

  /** Every pair of ends that a plan may name, the whole at last. */
  function rangeEnds(lengths: readonly (readonly number[])[]): number[][] {
    let found: number[][] = [[]];
    for (const keys of lengths)
      found = found.flatMap((prefix) => Array.from({ length: keys.length + 1 }, (_, end) => [...prefix, end]));
    return found;
  }
}
