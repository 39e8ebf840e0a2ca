/** `/v1/events`: what changes, as server-sent events. One connection may follow several topics. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WeirError } from '../../core/errors.ts';
import type { ClusterLogs } from '../cluster-logs.ts';
import type { JobView } from '../views.ts';
import type { ClusterWatch, Look } from '../watch.ts';
import { summaryDocument } from './documents.ts';

const HEARTBEAT_MS = 15_000;
/** A reader that is so far behind is cut off: it comes back by itself. */
const BEHIND_BYTES_MAX = 4 * 1024 * 1024;
const TOPICS_DEFAULT = 'events,progress';
const TOPICS_MAX = 50;

const plainTopics = new Set(['events', 'progress', 'jobs', 'workers', 'logs']);

/** Texts of what many connections are sent, made once. */
const summaryTexts = new WeakMap<JobView, string>();

function summaryText(view: JobView): string {
  let text = summaryTexts.get(view);
  if (text === undefined) summaryTexts.set(view, (text = JSON.stringify(summaryDocument(view))));
  return text;
}

export interface StreamParts {
  readonly watch: ClusterWatch;
  readonly logs: ClusterLogs | null;
  /** Lines of workers are not for everybody: see cluster-logs.ts. */
  readonly masterLogOnly: boolean;
  readonly redact: (text: string) => string;
  /** Asked now and then: a token may be taken back while its stream is open. */
  readonly mayGoOn: () => boolean;
}

/** Answers with a stream that ends when the client goes. Throws: USAGE for a topic that is none. */
export function streamEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  { watch, logs, masterLogOnly, mayGoOn, redact }: StreamParts,
  topicsText: string | undefined,
): void {
  const topics = parseTopics(topicsText ?? TOPICS_DEFAULT);
  reply.hijack();
  const { raw } = reply;
  const headers = Object.entries(reply.getHeaders()).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  raw.writeHead(200, {
    ...Object.fromEntries(headers),
    'content-type': 'text/event-stream',
    'x-accel-buffering': 'no',
  });
  raw.write(': weir\n\n');
  const stream = new EventStream(topics, (text) => {
    if (raw.writableLength > BEHIND_BYTES_MAX) raw.destroy();
    else raw.write(redact(text));
  });
  const lastId = Number(request.headers['last-event-id']);
  if (topics.has('events') && Number.isSafeInteger(lastId) && request.headers['last-event-id'] !== undefined)
    for (const event of watch.eventsSince(lastId)) stream.send('event', JSON.stringify(event), event.seq);
  const ends = [watch.subscribe((look) => stream.show(look))];
  if (topics.has('logs') && logs !== null)
    ends.push(logs.subscribe((line) => stream.send('log', JSON.stringify(line)), masterLogOnly));
  const heartbeat = setInterval(() => {
    if (mayGoOn()) raw.write(': still here\n\n');
    else raw.end();
  }, HEARTBEAT_MS);
  heartbeat.unref();
  raw.on('close', () => {
    clearInterval(heartbeat);
    for (const end of ends) end();
  });
}

function parseTopics(text: string): ReadonlySet<string> {
  const topics = text.split(',').filter((topic) => topic !== '');
  const wrong = topics.find((topic) => !plainTopics.has(topic) && !/^(job|progress):[a-z][a-z0-9-]{0,62}$/.test(topic));
  if (wrong !== undefined)
    throw new WeirError(
      'USAGE',
      `There is no topic ${wrong} of events; there are ${[...plainTopics].join(', ')}, job:NAME and progress:NAME.`,
    );
  if (topics.length > TOPICS_MAX) throw new WeirError('USAGE', `At most ${TOPICS_MAX} topics can be followed at once.`);
  return new Set(topics);
}

/** What one connection was told last, so that only changes are sent. */
class EventStream {
  readonly #topics: ReadonlySet<string>;
  readonly #write: (text: string) => void;
  readonly #jobs = new Map<string, string>();
  readonly #full = new Map<string, string>();
  #first = true;
  #workers = '';

  constructor(topics: ReadonlySet<string>, write: (text: string) => void) {
    this.#topics = topics;
    this.#write = write;
  }

  send(event: string, data: string, id?: number): void {
    this.#write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`);
  }

  show({ jobs, workers, events, progress }: Look): void {
    if (this.#topics.has('jobs')) this.#showJobs(jobs);
    if (this.#topics.has('workers')) {
      const text = JSON.stringify({ workers });
      if (text !== this.#workers) this.send('workers', text);
      this.#workers = text;
    }
    for (const view of jobs) if (this.#topics.has(`job:${view.row.name}`)) this.#showJob(view);
    if (this.#topics.has('events')) for (const event of events) this.send('event', JSON.stringify(event), event.seq);
    for (const batch of progress)
      if (this.#topics.has('progress') || this.#topics.has(`progress:${batch.name}`))
        this.send('progress', JSON.stringify(batch));
  }

  #showJobs(jobs: readonly JobView[]): void {
    const changed: string[] = [];
    const gone = new Set(this.#jobs.keys());
    for (const view of jobs) {
      const text = summaryText(view);
      gone.delete(view.row.name);
      if (this.#jobs.get(view.row.name) === text) continue;
      this.#jobs.set(view.row.name, text);
      changed.push(text);
    }
    for (const name of gone) this.#jobs.delete(name);
    if (!this.#first && changed.length + gone.size === 0) return;
    this.send('jobs', `{"full":${this.#first},"jobs":[${changed.join()}],"removed":${JSON.stringify([...gone])}}`);
    this.#first = false;
  }

  #showJob(view: JobView): void {
    const text = JSON.stringify(view);
    if (this.#full.get(view.row.name) === text) return;
    this.#full.set(view.row.name, text);
    this.send('job', text);
  }
}
