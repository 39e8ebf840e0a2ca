/** Directories and buckets as places of sinks. */
import { resolve, sep } from 'node:path';
import type { Clock, Rng } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import type { RowSink, RowSinkConnector, RowSinkPlan, SinkSettings } from '../../core/row-sink.ts';
import type { CompactorParts } from './compactor.ts';
import { DirectoryPlace } from './directory-place.ts';
import { fileFailure } from './failures.ts';
import type { FilePlace } from './file-place.ts';
import { FilesSink } from './files-sink.ts';

/** Created when a sink is opened, to see that the place takes files and creates a name only once. */
const PROBE = '_weir_log/probe';

export interface FilesParts {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Throws: FORBIDDEN for a host that jobs may not go to. */
  readonly requireHost: (host: string) => Promise<void>;
  /** Whether jobs may write anywhere that the process may, where WEIR_FILES_DIR names no directory for them. */
  readonly anywhere: boolean;
  /** Told what became of small files; default: nobody is. */
  readonly log?: Log;
}

export class FilesSinks implements RowSinkConnector {
  readonly #parts: FilesParts;

  constructor(parts: FilesParts) {
    this.#parts = parts;
  }

  describe(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  create(): Promise<void> {
    return Promise.resolve();
  }

  async open({ job, format, settings }: RowSinkPlan): Promise<RowSink> {
    const { clock, rng } = this.#parts;
    const place = await this.placeOf(settings);
    await probe(place, job);
    const { compactBelow: below, compactEveryMs: everyMs } = settings;
    const compact =
      typeof below === 'number' && typeof everyMs === 'number'
        ? { below, everyMs, ...this.#told(job, place) }
        : undefined;
    return new FilesSink({
      job,
      place,
      format,
      gzip: settings['gzip'] === true,
      clock,
      rng,
      ...(compact === undefined ? {} : { compact }),
    });
  }

  #told(job: string, { description }: FilePlace): Pick<CompactorParts, 'onMerged' | 'onFailure'> {
    const { log } = this.#parts;
    return {
      onMerged: (replaced, files) =>
        log?.info({ job, replaced, files }, `${replaced} small files in ${description} were merged into ${files}`),
      onFailure: (error) =>
        log?.warn({ job, err: error }, `small files in ${description} were not merged; the next round tries again`),
    };
  }

  /** Throws: CONFIG_INVALID, FORBIDDEN. */
  async placeOf(settings: SinkSettings): Promise<FilePlace> {
    const path = String(settings['path']);
    if (!path.startsWith('s3://')) return new DirectoryPlace(this.#directory(path));
    const { env, clock, requireHost } = this.#parts;
    if (typeof settings['endpoint'] === 'string') await requireHost(new URL(settings['endpoint']).hostname);
    const [bucket = '', ...rest] = path.slice('s3://'.length).split('/');
    const prefix = rest.filter((part) => part !== '').join('/');
    const accessKeyId = env['AWS_ACCESS_KEY_ID'];
    const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
    const sessionToken = env['AWS_SESSION_TOKEN'];
    if (accessKeyId === undefined || secretAccessKey === undefined) {
      const message = `The files of ${path} need credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the workers.`;
      throw new WeirError('CONFIG_INVALID', message);
    }
    const endpoint = settings['endpoint'] ?? env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL'];
    const { S3Place } = await import('./s3-place.ts');
    return new S3Place(
      {
        bucket,
        prefix: prefix === '' ? '' : `${prefix}/`,
        endpoint: typeof endpoint === 'string' ? endpoint : undefined,
        region: String(settings['region'] ?? env['AWS_REGION'] ?? 'us-east-1'),
        credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
      },
      clock,
    );
  }

  /** Within WEIR_FILES_DIR, where that is set. */
  #directory(path: string): string {
    const { env, anywhere } = this.#parts;
    const root = env['WEIR_FILES_DIR'];
    if (root === undefined || root === '') {
      if (anywhere) return resolve(path);
      const message = `A job may not write files to ${path}: set WEIR_FILES_DIR for the workers to the directory that jobs may use.`;
      throw new WeirError('FORBIDDEN', message);
    }
    const whole = resolve(root, path);
    if (whole === resolve(root) || whole.startsWith(`${resolve(root)}${sep}`)) return whole;
    throw new WeirError(
      'FORBIDDEN',
      `A job may not write files to ${path}, which is outside of WEIR_FILES_DIR (${root}).`,
    );
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Throws: SINK_REFUSED where a name can be created twice; what the place throws. */
async function probe(place: FilePlace, job: string): Promise<void> {
  try {
    await place.create(PROBE, Buffer.from('weir\n'));
    if (!(await place.create(PROBE, Buffer.from('weir\n')))) return;
  } catch (error) {
    throw fileFailure(error, `job ${job}, files ${place.description}`);
  }
  throw new WeirError(
    'SINK_REFUSED',
    `Job ${job}: ${place.description} lets a file be created twice (it ignores If-None-Match), so two writers could both ` +
      `commit an epoch; use a service that honours it.`,
  );
}
