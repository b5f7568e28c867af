/** Frames of the channel `files`: messages in JSON on number 0, bytes on others. */

const HEAD = 7;
export const LARGEST = 65536;
/** Bytes of a file that are hashed by themselves. */
export const BLOCK = 1 << 20;
const JSON_KIND = 1;
const BYTES_KIND = 2;

export interface Message {
  type: string;
  id?: number | null;
  [field: string]: unknown;
}
export type Frame = { message: Message } | { number: number; bytes: Uint8Array<ArrayBuffer> };

function frame(number: number, kind: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(HEAD + payload.length);
  const view = new DataView(made.buffer);
  view.setUint32(0, payload.length);
  view.setUint16(4, number);
  view.setUint8(6, kind);
  made.set(payload, HEAD);
  return made;
}

/** The frame that says a message. Lone surrogates (names that are no UTF-8) are escaped. */
export function say(message: Message): Uint8Array<ArrayBuffer> {
  return frame(0, JSON_KIND, new TextEncoder().encode(JSON.stringify(message)));
}

/** The frame that carries bytes, `LARGEST` at the most. */
export function carry(number: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return frame(number, BYTES_KIND, bytes);
}

/** Cuts frames out of bytes that arrive in any chunks. */
export class Decoder {
  #rest = new Uint8Array(0);

  /** Throws if these are no frames. */
  feed(data: Uint8Array): Frame[] {
    let all = data;
    if (this.#rest.length) {
      all = new Uint8Array(this.#rest.length + data.length);
      all.set(this.#rest);
      all.set(data, this.#rest.length);
    }
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    const found: Frame[] = [];
    let at = 0;
    while (all.length - at >= HEAD) {
      const length = view.getUint32(at);
      const number = view.getUint16(at + 4);
      const kind = view.getUint8(at + 6);
      if (length > LARGEST || (kind !== JSON_KIND && kind !== BYTES_KIND)) {
        throw new Error("What came is no frame.");
      }
      if (all.length - at < HEAD + length) break;
      const bytes = all.slice(at + HEAD, at + HEAD + length);
      at += HEAD + length;
      if (kind === BYTES_KIND) found.push({ number, bytes });
      else found.push({ message: JSON.parse(new TextDecoder().decode(bytes)) as Message });
    }
    this.#rest = all.slice(at);
    return found;
  }
}

export const hex = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The SHA-256 of the SHA-256 of each block. */
export async function digest(blocks: readonly ArrayBuffer[]): Promise<string> {
  const all = new Uint8Array(blocks.length * 32);
  blocks.forEach((block, index) => all.set(new Uint8Array(block), index * 32));
  return hex(await crypto.subtle.digest("SHA-256", all));
}
