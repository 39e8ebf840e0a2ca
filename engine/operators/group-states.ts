import { KEY_GROUPS } from '../plan/epoch-plan.ts';
import { GroupLists } from '../state/group-lists.ts';
import type { StateOperator } from './state-operator.ts';

class ChangedGroups {
  readonly #changed = new Uint8Array(KEY_GROUPS);

  add(group: number): void {
    this.#changed[group] = 1;
  }

  delete(group: number): void {
    this.#changed[group] = 0;
  }

  clear(): void {
    this.#changed.fill(0);
  }

  /** Ascending. */
  list(): number[] {
    const groups: number[] = [];
    for (let group = 0; group < KEY_GROUPS; group++) if (this.#changed[group] === 1) groups.push(group);
    return groups;
  }
}

/**
 * State by key group that knows which groups the next snapshot has to take again. The operator notes them in `changed`.
 *
 * Invariant: a group of which `encodeGroup` gives other bytes than at the last {@link clearChanged} is among the changed
 * ones, those that hold nothing any more included. One that was restored is as it is stored, and one that was dropped is
 * another's: they are not among them until an epoch changes them.
 */
export abstract class GroupStates implements Pick<StateOperator, 'changedGroups' | 'clearChanged' | 'groups'> {
  /** Used row by row, so operators have it at hand: a method here would meet objects of all their kinds. */
  protected readonly changed = new ChangedGroups();

  changedGroups(): readonly number[] {
    return this.changed.list();
  }

  clearChanged(): void {
    this.changed.clear();
  }

  abstract groups(): readonly number[];
}

/** {@link GroupStates} that are lists of ids, in the order in which these came: of keys, each with what is kept of it. */
export abstract class ListedGroupStates extends GroupStates {
  /** Invariant: a group holds something exactly while its list has an id. */
  protected readonly byGroup: GroupLists;

  constructor(byGroup: GroupLists = new GroupLists()) {
    super();
    this.byGroup = byGroup;
  }

  groups(): readonly number[] {
    return this.byGroup.groups();
  }
}
