/**
 * Which CQL people may send through a door that only looks: one SELECT or DESCRIBE, and of no table that holds secrets.
 * The statement itself goes to the database as it was written; here it is only judged.
 */
import { WeirError } from '../errors.ts';

/** Keyspaces with password hashes, and with what is none of a reader's business. */
const closedKeyspaces = new Set(['system_auth', 'system_traces', 'system_distributed']);
const OWN_KEYSPACE = 'weir';
/** What of Weir's own keyspace is for people. */
const openOwnTables = new Set(['dead_letters']);

type Word = { readonly kind: 'name' | 'other'; readonly text: string };

/** Throws: UNSUPPORTED for what does more than look; FORBIDDEN for tables that are not for readers. */
export function requireRead(cql: string): void {
  const words = wordsOf(cql);
  const [first] = words;
  const verb = first?.kind === 'name' ? first.text.toLowerCase() : '';
  if (verb === 'describe' || verb === 'desc') return requireSingle(words);
  if (verb !== 'select') {
    throw new WeirError(
      'UNSUPPORTED',
      'Tables can only be looked at from here: the statement must be a SELECT or DESCRIBE. Change them with cqlsh.',
    );
  }
  requireSingle(words);
  for (const [at, word] of words.entries()) {
    if (word.kind !== 'name' || word.text.toLowerCase() !== 'from') continue;
    const [keyspace, dot, table] = words.slice(at + 1, at + 4);
    if (keyspace === undefined || dot?.text !== '.' || table === undefined) continue;
    requireOpen(keyspace.text, table.text);
  }
}

function requireSingle(words: readonly Word[]): void {
  const end = words.findIndex(({ kind, text }) => kind === 'other' && text === ';');
  if (end < 0 || words.slice(end).every(({ text }) => text === ';')) return;
  throw new WeirError('UNSUPPORTED', 'One statement at a time: something follows the semicolon.');
}

function requireOpen(keyspace: string, table: string): void {
  const closed = closedKeyspaces.has(keyspace) || (keyspace === OWN_KEYSPACE && !openOwnTables.has(table));
  if (!closed) return;
  throw new WeirError(
    'FORBIDDEN',
    `${keyspace}.${table} is not shown: it holds what the database or Weir keeps for itself.`,
  );
}

/** Names (unquoted ones in small letters, as CQL reads them) and single characters; comments and literals are left out. */
function wordsOf(cql: string): Word[] {
  const pattern =
    /(?:--|\/\/)[^\n\r]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:[^']|'')*'|\$\$[\s\S]*?\$\$|"((?:[^"]|"")*)"|([A-Za-z_]\w*)|\d[\w.]*|(\S)/g;
  const words: Word[] = [];
  for (const [, quoted, plain, other] of cql.matchAll(pattern)) {
    if (quoted !== undefined) words.push({ kind: 'name', text: quoted.replaceAll('""', '"') });
    else if (plain !== undefined) words.push({ kind: 'name', text: plain.toLowerCase() });
    else if (other !== undefined) words.push({ kind: 'other', text: other });
  }
  return words;
}
