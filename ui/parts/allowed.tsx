/** Parts of the page that only some roles may use. */
import type { ComponentChildren, JSX } from 'preact';
import type { Role } from '../../core/security/roles.ts';
import { caller, useMay } from '../access.ts';
import { useStore } from '../store.ts';
import { Empty } from './basics.tsx';

/** The children for those who may; for others nothing, or with `what` a sentence that says why. */
export function Allowed({
  role,
  what,
  heading,
  children,
}: {
  readonly role: Role;
  /** Begins the sentence: Rows of tables. */
  readonly what?: string;
  /** Of the screen, where the children would have it. */
  readonly heading?: string;
  readonly children: ComponentChildren;
}): JSX.Element | null {
  const may = useMay(role);
  const who = useStore(caller);
  if (may) return <>{children}</>;
  if (what === undefined) return null;
  return (
    <>
      {heading === undefined ? null : <h1>{heading}</h1>}
      <Empty icon="info" title={`${what}: not with the role ${who?.role ?? ''}`}>
        The role {role} may. The token of this tab is {who?.name}; an admin makes another one.
      </Empty>
    </>
  );
}
