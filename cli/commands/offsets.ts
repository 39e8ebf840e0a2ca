/** `weir offsets get|set|reset JOB`: where a job stands in its topics. Set and reset need a job that is stopped. */
import { WeirError } from '../../core/errors.ts';
import type { PartitionOffset } from '../../master/offset-desk.ts';
import type { JobState } from '../../core/states.ts';
import { MasterClient } from '../client.ts';
import type { ConfirmOptions } from '../confirm.ts';
import { confirm } from '../confirm.ts';
import { jobPath } from '../names.ts';
import { formatCount, formatTable, print, printJson, tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';

/** Other jobs are refused by the master. */
const atRest: readonly JobState[] = ['stopped', 'finished', 'failed'];

interface OffsetsAnswer {
  readonly state: string;
  readonly offsets: readonly PartitionOffset[];
}

export interface OffsetsOptions extends GlobalOptions, ConfirmOptions {
  /** reset: earliest, latest, initial or a time. */
  readonly to?: string;
}

/** `places` of set: `topic:partition=offset`, `partition=offset` where the job reads one topic. Throws: USAGE. */
export async function offsets(
  action: string,
  job: string,
  places: readonly string[],
  options: OffsetsOptions,
): Promise<void> {
  const format = outputFormat(options, ['table', 'json']);
  const client = new MasterClient(target(options));
  const path = `${jobPath(job)}/offsets`;
  const answer = await ask(client, action, job, path, places, options);
  if (format === 'json') return printJson(answer);
  const rows = answer.offsets.map(({ source, topic, partition, committed, earliest, end, lag }) => [
    source,
    topic,
    String(partition),
    committed < 0 ? '-' : String(committed),
    String(earliest),
    String(end),
    formatCount(lag),
  ]);
  print(formatTable(['SOURCE', 'TOPIC', 'PARTITION', 'COMMITTED', 'EARLIEST', 'END', 'LAG'], rows));
  if (action !== 'get') tell(`${job} begins there when it is started: weir start ${job}`);
}

async function ask(
  client: MasterClient,
  action: string,
  job: string,
  path: string,
  places: readonly string[],
  options: OffsetsOptions,
): Promise<OffsetsAnswer> {
  switch (action) {
    case 'get':
      return await client.request('GET', path);
    case 'reset':
      await confirmLoss(client, job, options);
      return await client.request('DELETE', `${path}?to=${encodeURIComponent(options.to ?? 'earliest')}`);
    case 'set': {
      if (places.length === 0)
        throw new WeirError('USAGE', `Say what to set: weir offsets set ${job} TOPIC:PARTITION=OFFSET…`);
      const { topics } = await client.job(job);
      const wanted = places.map((place) => parsePlace(place, topics));
      await confirmLoss(client, job, options);
      return await client.request('PATCH', path, { offsets: wanted });
    }
    default:
      throw new WeirError('USAGE', `There is no weir offsets ${action}; there are get, set and reset.`);
  }
}

/** A stateful job begins its new run with nothing; what it kept cannot be had back without a savepoint. */
async function confirmLoss(client: MasterClient, job: string, options: OffsetsOptions): Promise<void> {
  const { protocol, row } = await client.job(job);
  if (protocol !== 'epochs' || !atRest.includes(row.state)) return;
  await confirm(
    `Job ${job} keeps state, and begins a new run with empty state: what it counted and kept so far is left behind. ` +
      `A savepoint keeps it: weir savepoint create ${job} NAME.`,
    options,
  );
}

function parsePlace(text: string, topics: readonly string[]): object {
  const [, topic, partition, offset] = /^(?:([\w.-]+)[:/])?(\d+)=(\d+)$/.exec(text) ?? [];
  const only = topics.length === 1 ? topics[0] : undefined;
  if (partition === undefined || offset === undefined || (topic ?? only) === undefined)
    throw new WeirError('USAGE', `${text} is no place and offset; write TOPIC:PARTITION=OFFSET, as users:0=1200.`);
  return { topic: topic ?? only, partition: Number(partition), offset: Number(offset) };
}
