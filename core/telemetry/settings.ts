/** Where spans go, by the environment variables of OpenTelemetry. Without an endpoint nothing is traced. */
import { WeirError } from '../errors.ts';

export interface TraceSettings {
  /** URL that spans are sent to. */
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  /** For one request, ms. */
  readonly timeoutMs: number;
  /** Between two requests, ms. */
  readonly delayMs: number;
  readonly serviceName: string;
  /** About the process, beside its name. */
  readonly resource: Readonly<Record<string, string>>;
  /** Part of all traces that is kept, 0 to 1. */
  readonly ratio: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const TIMEOUT_MS = 10_000;
const DELAY_MS = 1000;

/** null = nothing is traced. `service`: the name unless OTEL_SERVICE_NAME is set. Throws: CONFIG_INVALID. */
export function traceSettings(env: Environment, service: string): TraceSettings | null {
  const value = (name: string): string => env[name]?.trim() ?? '';
  const endpoint = endpointOf(value);
  if (endpoint === null || value('OTEL_SDK_DISABLED').toLowerCase() === 'true') return null;
  if (value('OTEL_TRACES_EXPORTER') === 'none') return null;
  const ratio = ratioOf(value('OTEL_TRACES_SAMPLER'), value('OTEL_TRACES_SAMPLER_ARG'));
  if (ratio === 0) return null;
  const protocol = value('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') || value('OTEL_EXPORTER_OTLP_PROTOCOL');
  if (protocol === 'grpc')
    throw invalid('OTEL_EXPORTER_OTLP_PROTOCOL', protocol, 'spans are sent by HTTP as JSON: http/json, port 4318');
  const headers = value('OTEL_EXPORTER_OTLP_TRACES_HEADERS') || value('OTEL_EXPORTER_OTLP_HEADERS');
  return {
    endpoint,
    // Their values are secrets, which a message must not show.
    headers: pairsOf('OTEL_EXPORTER_OTLP_HEADERS', headers, true),
    timeoutMs: msOf('OTEL_EXPORTER_OTLP_TIMEOUT', value('OTEL_EXPORTER_OTLP_TIMEOUT'), TIMEOUT_MS),
    delayMs: msOf('OTEL_BSP_SCHEDULE_DELAY', value('OTEL_BSP_SCHEDULE_DELAY'), DELAY_MS),
    serviceName: value('OTEL_SERVICE_NAME') || service,
    resource: pairsOf('OTEL_RESOURCE_ATTRIBUTES', value('OTEL_RESOURCE_ATTRIBUTES'), false),
    ratio,
  };
}

function endpointOf(value: (name: string) => string): string | null {
  const own = value('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT');
  const base = value('OTEL_EXPORTER_OTLP_ENDPOINT');
  if (own === '' && base === '') return null;
  const name = own === '' ? 'OTEL_EXPORTER_OTLP_ENDPOINT' : 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';
  const url = own === '' ? `${base.replace(/\/$/, '')}/v1/traces` : own;
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
    throw invalid(name, own || base, 'write a URL, such as http://127.0.0.1:4318');
  return url;
}

function ratioOf(sampler: string, argument: string): number {
  switch (sampler.replace(/^parentbased_/, '')) {
    case '':
    case 'always_on':
      return 1;
    case 'always_off':
      return 0;
    case 'traceidratio': {
      const ratio = argument === '' ? 1 : Number(argument);
      if (ratio >= 0 && ratio <= 1) return ratio;
      throw invalid('OTEL_TRACES_SAMPLER_ARG', argument, 'it is a part of all traces, from 0 to 1');
    }
    default:
      throw invalid('OTEL_TRACES_SAMPLER', sampler, 'there are always_on, always_off and traceidratio');
  }
}

function msOf(name: string, text: string, fallback: number): number {
  if (text === '') return fallback;
  const ms = Number(text);
  if (Number.isFinite(ms) && ms > 0) return ms;
  throw invalid(name, text, 'it is a number of milliseconds above 0');
}

/** `a=1,b=2`, values percent-encoded. */
function pairsOf(name: string, text: string, secret: boolean): Record<string, string> {
  const pairs = text.split(',').filter((pair) => pair.trim() !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      const decoded = at < 1 ? null : decode(pair.slice(at + 1).trim());
      if (decoded === null) throw invalid(name, secret ? '(not shown)' : text, 'write key=value, several with commas');
      return [pair.slice(0, at).trim(), decoded];
    }),
  );
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function invalid(name: string, value: string, remedy: string): WeirError {
  return new WeirError('CONFIG_INVALID', `${name} is "${value}"; ${remedy}.`);
}
