/**
 * Serves the web page: three files of ui/bundle/, made by scripts/build-ui.ts and kept with the sources so that nothing
 * has to be built before a start. Whoever may not read /v1 gets the page, but no figure.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../core/clock.ts';
import type { ClusterWatch } from '../watch.ts';
import { FiguresHistory } from './ui-history.ts';

export interface UiOptions {
  readonly watch: Pick<ClusterWatch, 'subscribe'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** Addresses of screens: each gets the page, which looks at the address itself. */
const screens = [
  '/',
  '/jobs/*',
  '/workers',
  '/topics',
  '/topics/*',
  '/tables',
  '/dead-letters',
  '/events',
  '/editor',
  '/editor/*',
] as const;

/** The page is the same for everybody and holds no figure. */
const open = { config: { access: 'open' } } as const;
const figures = { config: { access: 'viewer' } } as const;

interface Asset {
  readonly type: string;
  readonly body: Buffer;
  /** Made when first asked for: a master that serves no page need not start slower for it. */
  readonly zipped: () => Buffer;
}

const folder = new URL('../../ui/bundle/', import.meta.url);

/** Adds the routes of the page and `/v1/ui/history`. Throws what reading a missing bundle throws. */
export function addUi(app: FastifyInstance, { watch, clock }: UiOptions): void {
  const script = asset('app.js', 'text/javascript; charset=utf-8');
  const style = asset('app.css', 'text/css; charset=utf-8');
  const icon = asset('icon.svg', 'image/svg+xml');
  const html = read('index.html')
    .toString()
    .replace('/ui/app.js', `/ui/app.js?v=${version(script)}`)
    .replace('/ui/app.css', `/ui/app.css?v=${version(style)}`);
  const page = made(Buffer.from(html), 'text/html; charset=utf-8');
  for (const path of screens) {
    app.get(path, open, async (request, reply) => {
      void reply.headers({ 'content-security-policy': PAGE_POLICY, 'cache-control': 'no-cache' });
      await send(request, reply, page);
    });
  }
  const assets: readonly [string, Asset][] = [
    ['/ui/app.js', script],
    ['/ui/app.css', style],
    ['/ui/icon.svg', icon],
  ];
  for (const [path, file] of assets) {
    app.get(path, open, async (request, reply) => {
      // The page names them by content: a changed one has another address.
      void reply.header('cache-control', 'public, max-age=31536000, immutable');
      await send(request, reply, file);
    });
  }
  const history = new FiguresHistory();
  const unsubscribe = watch.subscribe(({ jobs }) => history.take(jobs, clock.now()));
  app.addHook('onClose', unsubscribe);
  app.get<{ Querystring: { job?: string } }>('/v1/ui/history', figures, async (request, reply) => {
    await reply.type('application/json').send(JSON.stringify(history.of(request.query.job ?? '')));
  });
}

const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

function read(name: string): Buffer {
  return readFileSync(new URL(name, folder));
}

function asset(name: string, type: string): Asset {
  return made(read(name), type);
}

function made(body: Buffer, type: string): Asset {
  let zipped: Buffer | undefined;
  return { type, body, zipped: () => (zipped ??= gzipSync(body, { level: 9 })) };
}

function version({ body }: Asset): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 12);
}

async function send(request: FastifyRequest, reply: FastifyReply, { type, body, zipped }: Asset): Promise<void> {
  void reply.type(type).header('vary', 'accept-encoding');
  const zips = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  if (zips) void reply.header('content-encoding', 'gzip');
  await reply.send(zips ? zipped() : body);
}
