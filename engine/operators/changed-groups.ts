import { KEY_GROUPS } from '../plan/epoch-plan.ts';

/** Which key groups of a state changed since it was last asked to forget. */
export class ChangedGroups {
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
