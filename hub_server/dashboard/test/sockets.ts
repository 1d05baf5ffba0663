/** The server's side of WebSockets as far as the tests need it (RFC 6455): text frames below 64 KiB, and closing. */

import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 §1.3
const TEXT_FRAME = 0x81;
const CLOSE_FRAME = 0x88;

export class ServerSocket {
  private received: Buffer = Buffer.alloc(0);

  constructor(
    private readonly stream: Duplex,
    request: IncomingMessage,
    private readonly onText: (text: string) => void,
    onClose: () => void,
  ) {
    const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}${GUID}`).digest("base64");
    stream.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    stream.on("data", (data: Buffer) => this.read(data));
    stream.on("error", () => stream.destroy());
    stream.on("close", onClose);
  }

  send(message: object): void {
    const payload = Buffer.from(JSON.stringify(message));
    const head = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff];
    this.stream.write(Buffer.concat([Buffer.from([TEXT_FRAME, ...head]), payload]));
  }

  destroy(): void {
    this.stream.destroy();
  }

  private read(data: Buffer): void {
    this.received = Buffer.concat([this.received, data]);
    for (let frame = takeFrame(this.received); frame; frame = takeFrame(this.received)) {
      this.received = frame.rest;
      if (frame.opcode === TEXT_FRAME) this.onText(frame.text);
      if (frame.opcode === CLOSE_FRAME) this.stream.end(Buffer.from([CLOSE_FRAME, 0]));
    }
  }
}

/** The first masked frame of the bytes, or null while it is not complete. */
function takeFrame(bytes: Buffer): { opcode: number; text: string; rest: Buffer } | null {
  if (bytes.length < 2) return null;
  const short = bytes.readUInt8(1) & 0x7f;
  const head = short === 126 ? 4 : 2;
  if (bytes.length < head + 4) return null;
  const length = short === 126 ? bytes.readUInt16BE(2) : short;
  const end = head + 4 + length;
  if (bytes.length < end) return null;
  const mask = bytes.subarray(head, head + 4);
  const text = bytes.subarray(head + 4, end).map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return { opcode: bytes.readUInt8(0), text: Buffer.from(text).toString(), rest: bytes.subarray(end) };
}
