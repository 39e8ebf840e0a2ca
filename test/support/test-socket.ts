/** A WebSocket server for tests: the part of RFC 6455 that they need (text frames below 64 KiB, close), by hand. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface TestSocket {
  /** ws://… without a slash at the end. */
  readonly url: string;
  /** What clients sent, in order. */
  readonly received: string[];
  /** Requests to open a connection. */
  readonly requests: IncomingMessage[];
  /** Connections that are open. */
  readonly open: ReadonlySet<Socket>;
  /** Sends to all that are connected. */
  send(text: string): void;
  /** Ends all connections without a word. */
  drop(): void;
  close(): Promise<void>;
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** `greet` answers what a client sends. Connections need the header `x-key: right` when `isPrivate`. */
export async function startTestSocket(
  greet: (message: string, send: (text: string) => void) => void = () => undefined,
  isPrivate = false,
): Promise<TestSocket> {
  const received: string[] = [];
  const requests: IncomingMessage[] = [];
  const open = new Set<Socket>();
  const server = createServer((_, response) => response.writeHead(isPrivate ? 401 : 426).end());
  server.on('upgrade', (request, duplex) => {
    const socket = duplex as Socket;
    socket.on('error', () => socket.destroy());
    requests.push(request);
    if (isPrivate && request.headers['x-key'] !== 'right') {
      socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    const accept = createHash('sha1')
      .update(String(request.headers['sec-websocket-key']) + GUID)
      .digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (let frame = frameOf(rest); frame !== null; frame = frameOf(rest)) {
        rest = rest.subarray(frame.end);
        if (frame.opcode === 8) socket.end();
        if (frame.opcode !== 1) continue;
        received.push(frame.text);
        greet(frame.text, (text) => socket.write(encode(text)));
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    requests,
    open,
    send: (text) => {
      for (const socket of open) socket.write(encode(text));
    },
    drop: () => {
      for (const socket of open) socket.destroy();
    },
    close: async () => {
      for (const socket of open) socket.destroy();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function encode(text: string): Buffer {
  const body = Buffer.from(text);
  const head = body.byteLength < 126 ? Buffer.from([0x81, body.byteLength]) : Buffer.from([0x81, 126, 0, 0]);
  if (body.byteLength >= 126) head.writeUInt16BE(body.byteLength, 2);
  return Buffer.concat([head, body]);
}

/** The first whole frame of a client; its frames are masked. */
function frameOf(bytes: Buffer): { readonly opcode: number; readonly text: string; readonly end: number } | null {
  if (bytes.byteLength < 6) return null;
  const short = (bytes[1] ?? 0) & 0x7f;
  const at = short === 126 ? 4 : 2;
  const length = short === 126 ? bytes.readUInt16BE(2) : short;
  const end = at + 4 + length;
  if (bytes.byteLength < end) return null;
  const mask = bytes.subarray(at, at + 4);
  const body = Buffer.from(bytes.subarray(at + 4, end).map((byte, index) => byte ^ (mask[index % 4] ?? 0)));
  return { opcode: (bytes[0] ?? 0) & 0x0f, text: body.toString('utf8'), end };
}
