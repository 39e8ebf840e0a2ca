/** Who is at the page, and what the master lets them do: buttons that would be refused are not shown. */
import type { Caller, Role } from '../core/security/roles.ts';
import { includesRole } from '../core/security/roles.ts';
import { ask, locked } from './api.ts';
import { Store, useStore } from './store.ts';

/** null = not known yet. */
export const caller = new Store<Caller | null>(null);

/** Asks now, and again when another token was given; called once. */
export function learnCaller(): void {
  const learn = async (): Promise<void> => {
    try {
      caller.set(await ask<Caller>('/v1/whoami'));
    } catch {
      // Whoever is refused is asked for a token; a master that does not know the route lets everybody do everything.
    }
  };
  locked.subscribe(() => {
    if (!locked.value) void learn();
  });
  void learn();
}

/** True while it is not known: the master decides in the end. */
export function useMay(role: Role): boolean {
  const known = useStore(caller);
  return known === null || includesRole(known.role, role);
}
