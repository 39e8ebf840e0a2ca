/** `weir token create|list|revoke`: who may ask this cluster for what. */
import { WeirError } from '../../core/errors.ts';
import { MasterClient } from '../client.ts';
import { formatAge, formatTable, print, printJson, tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';

export interface TokenOptions extends GlobalOptions {
  readonly role?: string;
  readonly expires?: string;
}

interface TokenView {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
}

/** Throws: USAGE, CONFLICT, NOT_FOUND, FORBIDDEN and what the client throws. */
export async function token(action: string, name: string | undefined, options: TokenOptions): Promise<void> {
  const format = outputFormat(options, ['table', 'json', 'name']);
  const client = new MasterClient(target(options));
  if (action === 'list') {
    const { tokens } = await client.request<{ readonly tokens: readonly TokenView[] }>('GET', '/v1/tokens');
    if (format === 'json') return printJson({ tokens });
    if (format === 'name') return tokens.forEach((one) => print(one.name));
    const rows = tokens.map((one) => [one.id, one.name, one.role, formatAge(Date.now() - one.createdAt), stateOf(one)]);
    return print(formatTable(['ID', 'NAME', 'ROLE', 'AGE', 'STATE'], rows));
  }
  if (action !== 'create' && action !== 'revoke')
    throw new WeirError('USAGE', `There is no weir token ${action}; there are create, list and revoke.`);
  if (name === undefined) throw new WeirError('USAGE', `Name the token: weir token ${action} NAME.`);
  if (action === 'revoke') {
    await client.request('DELETE', `/v1/tokens/${encodeURIComponent(name)}`);
    return tell(`token ${name} opens nothing any more`);
  }
  if (options.role === undefined) {
    throw new WeirError(
      'USAGE',
      'A token has a role: --role viewer, operator, submitter-declarative, submitter-code, admin or worker.',
    );
  }
  const body = { name, role: options.role, ...(options.expires === undefined ? {} : { expiresIn: options.expires }) };
  const made = await client.request<TokenView & { readonly token: string }>('POST', '/v1/tokens', body);
  if (format === 'json') return printJson(made);
  tell(
    `token ${made.name} (${made.role}${made.expiresAt === null ? '' : `, ${stateOf(made)}`}); it is not shown again:`,
  );
  print(made.token);
}

function stateOf({ expiresAt, revokedAt }: TokenView): string {
  if (revokedAt !== null) return 'revoked';
  if (expiresAt === null) return 'valid';
  const left = expiresAt - Date.now();
  return left > 0 ? `valid for ${formatAge(left)}` : 'expired';
}
