/** Who may do what: five roles in a row, each may all that those before it may. */

export const roles = ['viewer', 'operator', 'submitter-declarative', 'submitter-code', 'admin'] as const;

/**
 * viewer: jobs, figures, events. operator: also records and rows, and what is done to jobs that are there.
 * submitter-declarative: also job files without code. submitter-code: also job files with a module, which runs on the
 * workers. admin: also tokens.
 */
export type Role = (typeof roles)[number];

/** `worker`: joins the cluster and does nothing else. */
export const tokenRoles = [...roles, 'worker'] as const;
export type TokenRole = (typeof tokenRoles)[number];

/** What a request needs. `open`: nothing. `local`: nothing on loopback, off it the role viewer. */
export type Access = 'open' | 'local' | Role;

/** Who asks. */
export interface Caller {
  /** Of the token; for logs and events. */
  readonly name: string;
  readonly role: TokenRole;
}

/** Where nobody is asked for a token: whoever reaches loopback is on this machine already. */
export const localCaller: Caller = { name: 'local', role: 'admin' };

export function includesRole(has: TokenRole, needed: Role): boolean {
  return has !== 'worker' && roles.indexOf(has) >= roles.indexOf(needed);
}

/** What a request to `access` needs; null = no token. */
export function neededRole(access: Access, loopback: boolean): Role | null {
  if (access === 'open') return null;
  return access === 'local' ? (loopback ? null : 'viewer') : access;
}
