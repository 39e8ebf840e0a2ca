/** Appending numbers and text to a {@link ByteBuffer}, in the forms that {@link ByteReader} reads. */
import type { ByteBuffer } from '../byte-buffer.ts';

export function putByte(out: ByteBuffer, value: number): void {
  out.reserve(1);
  out.bytes[out.length++] = value;
}

/** Seven bits per byte, least first. `value` < 2^31. */
export function putVarint(out: ByteBuffer, value: number): void {
  out.reserve(5);
  const { bytes } = out;
  let at = out.length;
  let rest = value;
  while (rest >= 0x80) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  out.length = at;
}

export function putU32(out: ByteBuffer, value: number): void {
  out.reserve(4);
  out.view.setUint32(out.length, value, true);
  out.length += 4;
}

export function putF64(out: ByteBuffer, value: number): void {
  out.reserve(8);
  out.view.setFloat64(out.length, value, true);
  out.length += 8;
}

export function putText(out: ByteBuffer, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  putVarint(out, bytes.length);
  out.append(bytes);
}

/** Appends byte strings of an arena, each behind its length as a varint. By id: where it begins, and its length. */
export function putCells(
  out: ByteBuffer,
  data: Uint8Array,
  start: Uint32Array,
  length: Int32Array,
  ids: Int32Array,
): void {
  let total = 5 * ids.length;
  for (let index = 0; index < ids.length; index++) total += length[ids[index]!]!;
  out.reserve(total);
  const { bytes } = out;
  for (let index = 0; index < ids.length; index++) {
    const size = length[ids[index]!]!;
    const from = start[ids[index]!]!;
    putVarint(out, size);
    let at = out.length;
    if (size < 64) for (let byte = 0; byte < size; byte++) bytes[at + byte] = data[from + byte]!;
    else bytes.set(data.subarray(from, from + size), at);
    at += size;
    out.length = at;
  }
}
