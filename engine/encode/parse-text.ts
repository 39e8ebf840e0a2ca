/** Text forms of CQL types that Spark has no type for. */
import { asciiText } from '../scan/numbers.ts';

const INET_CHARS_MAX = 45;

/** Network bytes of an IPv4 or IPv6 address; undefined when the text is none. Zones (`%eth0`) are refused. */
export function parseInet(bytes: Uint8Array, start: number, end: number): Uint8Array | undefined {
  if (end - start > INET_CHARS_MAX) return undefined;
  const text = asciiText(bytes, start, end);
  return text.includes(':') ? parseInet6(text) : parseInet4(text);
}

function parseInet4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined;
  return Uint8Array.from(parts, Number);
}

function parseInet6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(groupsOf);
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...(tail ?? [])];
  return Uint8Array.from(groups.flatMap((group) => [group >>> 8, group & 0xff]));
}

/** 16-bit groups of one side of `::`, a trailing IPv4 address counting as two. */
function groupsOf(text: string): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      const address = index === parts.length - 1 ? parseInet4(part) : undefined;
      if (address === undefined) return undefined;
      groups.push((address[0]! << 8) | address[1]!, (address[2]! << 8) | address[3]!);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

/** ns since midnight of `HH:mm:ss[.fraction of up to nine digits]`; NaN when the text is none. */
export function parseTimeOfDay(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > 18) return Number.NaN;
  const match = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?$/.exec(asciiText(bytes, start, end));
  if (match === null) return Number.NaN;
  const [hour, minute, second] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  if (hour > 23 || minute > 59 || second > 59) return Number.NaN;
  return ((hour * 60 + minute) * 60 + second) * 1e9 + Number((match[4] ?? '').padEnd(9, '0'));
}
