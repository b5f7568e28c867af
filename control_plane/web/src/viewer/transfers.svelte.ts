/** Files on their way in or out, one after another; each goes on by itself when the line breaks. */

import type { Dropped } from "./drops.ts";
import { Fault, Home, Lost, Parts } from "./home.ts";
import type { Mode } from "./viewer.ts";
import type { Way } from "./way.ts";

export type Doing = "waiting" | "going" | "broken" | "done" | "failed" | "stopped";

export class Transfer {
  readonly name: string;
  readonly up: boolean;
  /** Bytes; null: nobody knows before the end. */
  readonly size: number | null;
  doing = $state<Doing>("waiting");
  done = $state(0);
  sentence = $state("");
  /** Does it over one stream. */
  readonly work: (home: Home, transfer: Transfer) => Promise<void>;

  constructor(
    name: string,
    up: boolean,
    size: number | null,
    work: (home: Home, transfer: Transfer) => Promise<void>,
  ) {
    this.name = name;
    this.up = up;
    this.size = size;
    this.work = work;
  }

  get over(): boolean {
    return this.doing === "done" || this.doing === "failed" || this.doing === "stopped";
  }
}

const TRIES = 8;
const MOST_OF_A_NAME = 50;

/** `notes.txt`, `notes (2).txt`. */
export function numbered(path: string, number: number): string {
  if (number === 1) return path;
  const dot = path.lastIndexOf(".");
  const at = dot > path.lastIndexOf("/") + 1 ? dot : path.length;
  return `${path.slice(0, at)} (${number})${path.slice(at)}`;
}
/** Asked of what may have been changed meanwhile. */
const stopped = (one: Transfer): boolean => one.doing === "stopped";
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export class Transfers {
  list = $state<Transfer[]>([]);
  /** Told when something has been put in. */
  oncame: () => void = () => undefined;
  readonly #way: Way;
  #running = false;
  #home: Home | null = null;
  #mode: Mode = "view";

  constructor(way: Way) {
    this.#way = way;
  }

  /** Put files into a folder of the home. */
  put(files: readonly Dropped[], folder: string): void {
    const under = folder ? `${folder}/` : "";
    for (const { path, file } of files) {
      this.#add(
        new Transfer(path, true, file.size, async (home, transfer) => {
          const above = (under + path).split("/").slice(0, -1).join("/");
          if (above) await home.makeFolder(above);
          const progress = (done: number) => (transfer.done = done);
          // What is there already is nobody's to lose: the new one gets a number.
          for (let number = 1; ; number += 1) {
            try {
              await home.write(numbered(under + path, number), file, progress, () => stopped(transfer));
              break;
            } catch (thrown) {
              const taken = thrown instanceof Fault && thrown.code === "exists";
              if (!taken || number === MOST_OF_A_NAME) throw thrown;
            }
          }
          this.oncame();
        }),
      );
    }
  }

  /** Take a file, or a folder as a zip, out of the home. */
  take(path: string, name: string, folder: boolean, size: number): void {
    const parts = new Parts();
    const called = folder ? `${name || "home"}.zip` : name;
    this.#add(
      new Transfer(called, false, folder ? null : size, async (home, transfer) => {
        const progress = (done: number) => {
          transfer.done = done;
          if (stopped(transfer)) throw new Fault("stopped", "Stopped.");
        };
        if (folder) await home.archive(path, parts, progress);
        else await home.read(path, parts, progress);
        save(parts.whole(folder ? "application/zip" : "application/octet-stream"), called);
        parts.clear();
      }),
    );
  }

  stop(transfer: Transfer): void {
    const going = transfer.doing === "going";
    if (!transfer.over) transfer.doing = "stopped";
    if (going) this.#home?.close();
  }

  clear(): void {
    this.list = this.list.filter((one) => !one.over);
  }

  close(): void {
    for (const one of this.list) this.stop(one);
    this.#home?.close();
  }

  #add(transfer: Transfer): void {
    this.list.push(transfer);
    void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      for (;;) {
        const next = this.list.find((one) => one.doing === "waiting");
        if (!next) break;
        await this.#carry(next);
      }
    } finally {
      this.#running = false;
      this.#home?.close();
      this.#home = null;
    }
  }

  async #carry(one: Transfer): Promise<void> {
    let tries = 0;
    while (!one.over) {
      const before = one.done;
      try {
        one.doing = "going";
        const mode = one.up ? "control" : "view";
        if (!this.#home || this.#home.over || this.#mode !== mode) {
          this.#home?.close();
          this.#home = await Home.open(this.#way, mode);
          this.#mode = mode;
        }
        await one.work(this.#home, one);
        if (!stopped(one)) one.doing = "done";
      } catch (thrown) {
        // What is on its way on this stream belongs to nobody any more.
        this.#home?.close();
        this.#home = null;
        if (stopped(one)) return;
        const lost = thrown instanceof Lost || (thrown instanceof Fault && thrown.code === "busy");
        tries = one.done > before ? 0 : tries + 1;
        one.sentence = thrown instanceof Error ? thrown.message : "It went wrong.";
        if (!lost || tries > TRIES) {
          one.doing = "failed";
          return;
        }
        one.doing = "broken";
        await sleep(Math.min(500 * 2 ** tries, 5000));
      }
    }
  }
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
