/** One mechanism of the epochs' protocol taken away each: the checker must notice. */
import { must } from '../../../core/assert.ts';
import { OpenRanges } from '../../../engine/epoch/range-parts.ts';
import { InlineExecutor } from '../../../engine/inline-executor.ts';
import { EpochAnswers } from '../../../master/epochs-answers.ts';
import { EpochFeeds } from '../../../master/epochs-feeds.ts';
import { Cohort } from '../../../worker/epochs/cohort.ts';
import { EpochInbox } from '../../../worker/epochs/epoch-inbox.ts';
import { EpochLookups } from '../../../worker/lookups/epoch-lookups.ts';
import type { Mutations } from '../mutations.ts';
import { SimBlobServer } from '../sim-blobs.ts';
import { SimLogServer } from '../sim-log.ts';
import { SimMetaServer, SimMetaStore } from '../sim-meta-store.ts';

/** Replaces a method until the returned function is called. `make` gets the method as it was. */
function replaced<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  make: (original: T[K]) => T[K],
): () => void {
  const original = prototype[name];
  prototype[name] = make(original);
  return () => {
    prototype[name] = original;
  };
}

/** A change of the head that comes too late is made all the same. */
function changeAnyway(when: (planCount: number) => boolean): () => void {
  return replaced(
    SimMetaServer.prototype,
    'casEpochs',
    (original) =>
      function (this: SimMetaServer, expectedVer, next, plans) {
        const outcome = original.call(this, expectedVer, next, plans);
        if (outcome.kind !== 'rejected' || outcome.current === undefined || !when(plans.length)) return outcome;
        const { ver } = outcome.current;
        return original.call(this, ver, { ...next, ver: ver + 1 }, plans);
      },
  );
}

const byCluster = {
  /** DONE is said before the tables acknowledged. */
  doneBeforeAck: { commitBeforeAck: true },
  /** The tables stamp rows with the time they arrive. */
  arrivalTimes: { arrivalTimes: true },
} as const satisfies Record<string, Mutations>;

const byMethod = {
  /** What the parts of a range before the last one added up is forgotten. */
  addLastPart: () =>
    replaced(
      OpenRanges.prototype,
      'get',
      (original) =>
        function (this: OpenRanges<unknown>, place, range) {
          const open = original.call(this, place, range);
          const { sums = [] } = (open ?? {}) as { readonly sums?: readonly ({ begin(): void } | null)[] };
          for (const partial of sums) partial?.begin();
          return open;
        },
    ),
  /** The order of an epoch is sent while its plan is on its way. */
  orderBeforePlan: () =>
    replaced(
      SimMetaStore.prototype,
      'casEpochs',
      (original) =>
        async function (this: SimMetaStore, expectedVer, next, plans) {
          const outcome = original.call(this, expectedVer, next, plans);
          return plans.length === 0 ? await outcome : { kind: 'applied' };
        },
    ),
  /** A stage folds what has arrived. */
  foldWithoutEnd: () => replaced(EpochInbox.prototype, 'missing', () => () => []),
  /** Another attempt of an epoch that was folded folds it once more. */
  foldAgain: () => {
    const folded = new WeakMap<Cohort, Map<string, () => unknown>>();
    const undoFold = replaced(
      Cohort.prototype,
      'fold',
      (original) =>
        function (this: Cohort, ...args) {
          const own = folded.get(this) ?? new Map<string, () => unknown>();
          folded.set(this, own);
          own.set(`${args[1].epoch}/${args[0]}`, () => original.apply(this, args).catch(() => undefined));
          return original.apply(this, args);
        },
    );
    const undoKept = replaced(
      Cohort.prototype,
      'kept',
      (original) =>
        function (this: Cohort, epoch, stage) {
          void folded.get(this)?.get(`${epoch}/${stage}`)?.();
          return original.call(this, epoch, stage);
        },
    );
    return () => {
      undoFold();
      undoKept();
    };
  },
  /** Restored groups stay where their snapshot stood. */
  restoreWithoutReplay: () =>
    replaced(
      Cohort.prototype,
      'replay',
      (original) =>
        function (this: Cohort, stage, epochs, routing) {
          return original.call(
            this,
            stage,
            epochs.map((epoch) => ({ ...epoch, inputs: [] })),
            routing,
          );
        },
    ),
  /** Restored groups begin empty. */
  restoreEmpty: () => replaced(InlineExecutor.prototype, 'restore', () => () => Promise.resolve()),
  /** All rows of an epoch are written at one time. */
  oneWriteTime: () =>
    replaced(
      InlineExecutor.prototype,
      'map',
      (original) =>
        function (this: InlineExecutor, key, task) {
          const without = { ...task };
          Reflect.deleteProperty(without, 'rowTimes');
          return original.call(this, key, without);
        },
    ),
  /** Records are joined with the rows of a static table that were read first. */
  staleTable: () => {
    const first = new Map<string, Parameters<InlineExecutor['setStatic']>[2]>();
    return replaced(
      InlineExecutor.prototype,
      'setStatic',
      (original) =>
        function (this: InlineExecutor, key, name, rows) {
          const given = first.get(name) ?? rows;
          first.set(name, given);
          return original.call(this, key, name, given);
        },
    );
  },
  /** Whoever maps a task asks the table, and what it is told counts for it, whatever others were told before. */
  askAgain: () => {
    const undoKnown = replaced(
      EpochLookups.prototype,
      'tablesOf',
      (original) =>
        function (this: EpochLookups, task, _, signal, waits) {
          return original.call(this, task, 'nothing', signal, waits);
        },
    );
    const undoClaim = replaced(
      SimBlobServer.prototype,
      'claim',
      (original) =>
        function (this: SimBlobServer, id, part, bytes) {
          this.parts.get(id)?.delete(part);
          return original.call(this, id, part, bytes);
        },
    );
    return () => {
      undoKnown();
      undoClaim();
    };
  },
  /** What was looked up goes as soon as its epoch is committed. */
  forgetAnswers: () =>
    replaced(
      EpochAnswers.prototype,
      'collect',
      (original) =>
        function (this: EpochAnswers, head) {
          return original.call(this, { ...head, formerSnapshot: { epoch: head.committed, manifest: '' } });
        },
    ),
  /** An execution's end is fixed as soon as its feeds are heard of. */
  endBeforeFetched: () =>
    replaced(
      EpochFeeds.prototype,
      'take',
      (original) =>
        function (this: EpochFeeds, feed) {
          return original.call(this, feed.fetched > 0 ? feed : { ...feed, fetched: this.execution });
        },
    ),
  /** The log takes what a feed appends wherever it ends. */
  appendAnywhere: () =>
    replaced(
      SimLogServer.prototype,
      'appendAt',
      () =>
        function (this: SimLogServer, name, index, _, records) {
          this.append(name, index, records);
        },
    ),
  /** Commits are not conditional. */
  commitAnyway: () => changeAnyway((planCount) => planCount === 0),
  /** A leader that was replaced goes on planning, and plans something else. */
  planAnyway: () => changeAnyway((planCount) => planCount > 0),
} as const satisfies Record<string, () => () => void>;

export type EpochMutation = keyof typeof byCluster | keyof typeof byMethod;
export const epochMutations = [...Object.keys(byCluster), ...Object.keys(byMethod)] as EpochMutation[];

/** What the cluster is told of a mutation. */
export function clusterMutations(mutation: EpochMutation | undefined): Mutations {
  return mutation !== undefined && mutation in byCluster ? byCluster[mutation as keyof typeof byCluster] : {};
}

/** Takes a mechanism away until the returned function is called. */
export function mutate(mutation: EpochMutation): () => void {
  if (mutation in byCluster) return () => undefined;
  return must(byMethod[mutation as keyof typeof byMethod], () => `there is no mutation ${mutation}`)();
}
