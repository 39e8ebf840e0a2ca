/** `weir dlq list|show|replay|purge JOB`: the records that a job could not process. */
import { readFileSync } from 'node:fs';
import { WeirError } from '../../core/errors.ts';
import type { DeadLetterView } from '../../master/dead-letter-desk.ts';
import { MasterClient } from '../client.ts';
import { jobPath, wholeNumber } from '../names.ts';
import { formatTable, print, printJson, tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';

export interface LetterOptions extends GlobalOptions {
  readonly limit: string;
  readonly code?: string;
  readonly topic?: string;
  readonly all?: boolean;
  /** replay: delete what was sent. */
  readonly purge?: boolean;
  /** replay of one: a file with the value to send. */
  readonly value?: string;
}

interface Letters {
  readonly letters: readonly DeadLetterView[];
  readonly more: boolean;
}

/** What one request replays or purges at most. */
const CHUNK = 500;
const ALL_MAX = 1000;

/** `place`: TOPIC/PARTITION/OFFSET, or none with --all. Throws: USAGE, NOT_FOUND. */
export async function deadLetters(
  action: string,
  job: string,
  places: readonly string[],
  options: LetterOptions,
): Promise<void> {
  const format = outputFormat(options, ['table', 'wide', 'json', 'name']);
  const client = new MasterClient(target(options));
  const asked = Math.min(ALL_MAX, wholeNumber(options.limit, '--limit', 1));
  const found = await find(client, job, options, action === 'list' ? asked : ALL_MAX);
  if (action === 'list') {
    const letters = found.letters.slice(0, asked);
    if (format === 'json') return printJson({ letters, more: found.more });
    if (format === 'name') return letters.forEach((letter) => print(placeOf(letter)));
    return showList(job, { letters, more: found.more }, format === 'wide');
  }
  const chosen = choose(job, found.letters, places, options.all === true);
  switch (action) {
    case 'show':
      return show(chosen, format === 'json');
    case 'replay':
      return await replay(client, job, chosen, options);
    case 'purge':
      return await purge(client, job, chosen);
    default:
      throw new WeirError('USAGE', `There is no weir dlq ${action}; there are list, show, replay and purge.`);
  }
}

async function find(client: MasterClient, job: string, options: LetterOptions, limit: number): Promise<Letters> {
  const query = new URLSearchParams({ limit: String(limit) });
  if (options.topic !== undefined) query.set('topic', options.topic);
  const { letters, more } = await client.request<Letters>('GET', `${jobPath(job)}/dead-letters?${query.toString()}`);
  const { code } = options;
  return { letters: code === undefined ? letters : letters.filter((letter) => letter.code === code), more };
}

function placeOf({ topic, partition, offset }: DeadLetterView): string {
  return `${topic}/${partition}/${offset}`;
}

/** Throws: USAGE, NOT_FOUND. */
function choose(
  job: string,
  letters: readonly DeadLetterView[],
  places: readonly string[],
  all: boolean,
): readonly DeadLetterView[] {
  if (all) return letters;
  if (places.length === 0)
    throw new WeirError(
      'USAGE',
      'Name dead letters as "weir dlq list" shows them, TOPIC/PARTITION/OFFSET, or write --all.',
    );
  return places.map((place) => {
    const letter = letters.find((one) => placeOf(one) === place);
    if (letter !== undefined) return letter;
    throw new WeirError('NOT_FOUND', `Job ${job} has no dead letter ${place} among its newest ${ALL_MAX}.`);
  });
}

function textOf(base64: string | null): string {
  return base64 === null ? 'null' : Buffer.from(base64, 'base64').toString();
}

function showList(job: string, { letters, more }: Letters, wide: boolean): void {
  if (letters.length === 0) return tell(`${job} has no dead letters`);
  const heads = ['PLACE', 'RUN', 'CODE', 'WHERE', 'TIME', 'VALUE'];
  const rows = letters.map((letter) => [
    placeOf(letter),
    String(letter.run),
    letter.code,
    letter.place,
    letter.recordTime === null ? '-' : new Date(letter.recordTime).toISOString(),
    wide ? textOf(letter.value) : textOf(letter.value).slice(0, 60),
  ]);
  print(formatTable(heads, rows));
  if (more) tell('there are more; --limit shows them');
}

function show(letters: readonly DeadLetterView[], asJson: boolean): void {
  if (asJson) return printJson({ letters });
  for (const letter of letters) {
    print(`${placeOf(letter)} (run ${letter.run})`);
    print(`  ${letter.code}: ${letter.reason}${letter.place === '' ? '' : `, at ${letter.place}`}`);
    print(`  time:  ${letter.recordTime === null ? '-' : new Date(letter.recordTime).toISOString()}`);
    print(`  key:   ${textOf(letter.key)}`);
    print(`  value: ${textOf(letter.value)}`);
  }
}

async function replay(
  client: MasterClient,
  job: string,
  chosen: readonly DeadLetterView[],
  options: LetterOptions,
): Promise<void> {
  if (options.value !== undefined && chosen.length !== 1)
    throw new WeirError('USAGE', '--value goes with one dead letter.');
  const value = options.value === undefined ? {} : { value: readFileSync(options.value).toString('base64') };
  for (const letters of chunks(chosen)) {
    const body = { letters: letters.map((letter) => ({ ...keyOf(letter), ...value })) };
    const sent = await client.request<{ replayed: number; to: string[] }>(
      'POST',
      `${jobPath(job)}/dead-letters/replay`,
      body,
    );
    tell(`${sent.replayed} sent to ${sent.to.join(', ')}`);
  }
  for (const letter of chosen) print(placeOf(letter));
  if (options.purge === true) await purge(client, job, chosen);
}

async function purge(client: MasterClient, job: string, chosen: readonly DeadLetterView[]): Promise<void> {
  let purged = 0;
  for (const letters of chunks(chosen)) {
    const body = { letters: letters.map(keyOf) };
    purged += (await client.request<{ purged: number }>('DELETE', `${jobPath(job)}/dead-letters`, body)).purged;
  }
  tell(`${purged} deleted`);
}

function keyOf({ run, topic, partition, offset }: DeadLetterView): object {
  return { run, topic, partition, offset };
}

function* chunks(letters: readonly DeadLetterView[]): Generator<readonly DeadLetterView[]> {
  for (let at = 0; at < letters.length; at += CHUNK) yield letters.slice(at, at + CHUNK);
}
