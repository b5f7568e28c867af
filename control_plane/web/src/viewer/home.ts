/** A session's home over one stream: look, change, take out, put in. One request at a time. */

import { asProblem } from "../api/problem.ts";
import { BLOCK, carry, Decoder, digest, hex, LARGEST, say, type Frame, type Message } from "./frames.ts";
import type { Mode } from "./viewer.ts";
import { absolute, type Way } from "./way.ts";

export interface Entry {
  name: string;
  kind: "file" | "folder" | "link" | "other";
  size: number;
  /** Milliseconds since 1970. */
  modified: number;
  mode: number;
}

/** The desktop, or the way to it, says no. */
export class Fault extends Error {
  readonly code: string;
  constructor(code: string, sentence: string) {
    super(sentence);
    this.code = code;
  }
}

/** The stream broke; what was under way can be gone on with. */
export class Lost extends Fault {}

export type Progress = (done: number) => void;
const CONTENT = 1;
/** Bytes that may wait in the browser's own buffer. */
const WAITING = 1 << 20;
/** Close codes after which opening it again is of no use. */
const FINAL = new Set([4001, 4002, 4003, 4005]);
/** What is said of a session that is being started or put to sleep: it can be gone on with. */
const PASSING = new Set(["session_not_running", "session_not_asleep", "gate_not_ready"]);

export class Home {
  #socket: WebSocket;
  #decoder = new Decoder();
  #frames: Frame[] = [];
  #wake: (() => void) | null = null;
  #over: Fault | null = null;
  #next = 1;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event: MessageEvent<ArrayBuffer>) => {
      try {
        this.#frames.push(...this.#decoder.feed(new Uint8Array(event.data)));
      } catch {
        socket.close(1000);
      }
      this.#wake?.();
    };
    socket.onclose = (event) => {
      const [name, ...words] = event.reason.split(": ");
      const sentence = words.join(": ") || "The connection to the desktop was lost.";
      const final = FINAL.has(event.code) && !PASSING.has(name ?? "");
      this.#over = new (final ? Fault : Lost)(name || "lost", sentence);
      this.#wake?.();
    };
  }

  /** Rejects with a Fault if it cannot be opened. */
  static async open(way: Way, mode: Mode): Promise<Home> {
    let url: string;
    try {
      ({ url } = await way.ticket(mode, "files"));
    } catch (thrown) {
      const problem = asProblem(thrown);
      const passing = problem.passing || PASSING.has(problem.code);
      throw new (passing ? Lost : Fault)(problem.code, problem.sentence);
    }
    const socket = new WebSocket(absolute(url), ["binary"]);
    const home = new Home(socket);
    await new Promise<void>((resolve) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("close", () => resolve(), { once: true });
    });
    if (home.#over) throw home.#over;
    return home;
  }

  get over(): boolean {
    return this.#over !== null;
  }

  close(): void {
    this.#socket.close(1000);
  }

  async list(path: string): Promise<Entry[]> {
    const found: Entry[] = [];
    let answer = await this.#ask("list", { path });
    for (;;) {
      found.push(...(answer.entries as Entry[]));
      if (!answer.more) return found;
      answer = await this.#answer();
    }
  }

  async makeFolder(path: string): Promise<void> {
    await this.#ask("make_folder", { path, parents: true });
  }

  async rename(path: string, to: string): Promise<void> {
    await this.#ask("rename", { path, to });
  }

  async remove(path: string): Promise<void> {
    await this.#ask("delete", { path, recursive: true });
  }

  /** Take a file out, on from the parts that came before. */
  async read(path: string, parts: Parts, progress: Progress): Promise<void> {
    const about = { path, offset: parts.size, version: parts.version };
    const begin = await this.#ask("read", about);
    parts.version = begin.version as string;
    await this.#content(parts, progress);
  }

  /** Take a folder out as a zip. */
  async archive(path: string, parts: Parts, progress: Progress): Promise<void> {
    parts.clear();
    await this.#ask("archive", { path, format: "zip" });
    await this.#content(parts, progress);
  }

  /** Put a file in, on from where an earlier attempt broke. */
  async write(path: string, file: File, progress: Progress, stopped: () => boolean): Promise<void> {
    const said = `${file.name}\0${file.size}\0${file.lastModified}\0${path}`;
    const named = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(said));
    const ready = await this.#ask("write", {
      path,
      size: file.size,
      upload: hex(named).slice(0, 32),
      replace: false,
      modified: file.lastModified,
    });
    const offset = ready.offset as number;
    const blocks: ArrayBuffer[] = [];
    for (let at = 0; at < file.size; at += BLOCK) {
      const block = new Uint8Array(await file.slice(at, at + BLOCK).arrayBuffer());
      blocks.push(await crypto.subtle.digest("SHA-256", block));
      if (at + block.length > offset) await this.#send(block.subarray(Math.max(0, offset - at)));
      progress(at + block.length);
      if (stopped()) throw new Fault("stopped", "Stopped.");
      // A home that is full says so long before all has been sent.
      if (this.#frames.length) await this.#answer();
    }
    this.#say({ type: "commit", digest: await digest(blocks) });
    await this.#answer();
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += LARGEST) {
      while (this.#socket.bufferedAmount > WAITING && !this.#over) {
        await new Promise((resolve) => setTimeout(resolve, 15));
      }
      if (this.#over) throw this.#over;
      this.#socket.send(carry(CONTENT, bytes.subarray(at, at + LARGEST)));
    }
  }

  async #content(parts: Parts, progress: Progress): Promise<void> {
    for (;;) {
      const frame = await this.#hear();
      if (!("bytes" in frame)) {
        this.#check(frame.message);
        return;
      }
      parts.push(frame.bytes);
      progress(parts.size);
    }
  }

  async #ask(type: string, fields: Record<string, unknown>): Promise<Message> {
    if (this.#over) throw this.#over;
    this.#say({ type, id: this.#next++, ...fields });
    return this.#answer();
  }

  async #answer(): Promise<Message> {
    const frame = await this.#hear();
    if (!("message" in frame)) throw new Lost("protocol", "The desktop sent something unreadable.");
    return this.#check(frame.message);
  }

  #check(message: Message): Message {
    if (message.type === "error") throw new Fault(String(message.code), String(message.message));
    return message;
  }

  #say(message: Message): void {
    this.#socket.send(say(message));
  }

  async #hear(): Promise<Frame> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame) return frame;
      if (this.#over) throw this.#over;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = null;
    }
  }
}

/** What has come of a file; kept as blobs, which the browser may put on its disk. */
export class Parts {
  version: string | null = null;
  size = 0;
  #blobs: Blob[] = [];
  #loose: Uint8Array<ArrayBuffer>[] = [];
  #weight = 0;

  push(bytes: Uint8Array<ArrayBuffer>): void {
    this.#loose.push(bytes);
    this.size += bytes.length;
    this.#weight += bytes.length;
    if (this.#weight >= 8 * BLOCK) this.#fold();
  }

  clear(): void {
    this.version = null;
    this.size = this.#weight = 0;
    this.#blobs = [];
    this.#loose = [];
  }

  whole(type: string): Blob {
    this.#fold();
    return new Blob(this.#blobs, { type });
  }

  #fold(): void {
    this.#blobs.push(new Blob(this.#loose));
    this.#loose = [];
    this.#weight = 0;
  }
}
