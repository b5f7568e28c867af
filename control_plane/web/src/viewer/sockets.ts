/** The sockets that other people's code opens: watched, for they keep the close code to themselves. */

import type { Closed } from "./viewer.ts";

export interface Watched {
  /** How it was closed; null while it is not. */
  readonly how: Closed | null;
  /** Resolves when it is closed, or after so many milliseconds. */
  closed(within: number): Promise<void>;
  /** Close it. */
  readonly close: () => void;
  /** Watch no more. */
  forget(): void;
}

type Tell = (socket: WebSocket) => void;
const awaited = new Map<string, Tell>();
let native: typeof WebSocket | null = null;

/** From the first watch on, sockets of addresses that are waited for are made by us. */
function install(): void {
  if (native) return;
  const made = (native = globalThis.WebSocket);
  globalThis.WebSocket = class extends made {
    constructor(url: string | URL, protocols?: string | string[]) {
      const tell = awaited.get(String(url));
      super(url, tell ? ["binary"] : protocols);
      tell?.(this);
    }
  };
}

/** Watch the socket that will be opened to `url`; `came` is told of bytes. */
export function watch(url: string, came: (bytes: number) => void = () => {}): Watched {
  install();
  let how: Closed | null = null;
  let socket: WebSocket | null = null;
  let given = false;
  const waiting: (() => void)[] = [];
  awaited.set(url, (opened) => {
    socket = opened;
    awaited.delete(url);
    opened.addEventListener("close", (event) => {
      how = { code: event.code, reason: event.reason };
      for (const tell of waiting) tell();
    });
    opened.addEventListener("message", ({ data }: MessageEvent<ArrayBuffer | Blob>) => {
      came(data instanceof Blob ? data.size : data.byteLength);
    });
    if (given) opened.close(1000);
  });
  return {
    get how() {
      return how;
    },
    closed(within) {
      if (how) return Promise.resolve();
      return new Promise((resolve) => {
        waiting.push(resolve);
        setTimeout(resolve, within);
      });
    },
    close: () => {
      given = true;
      socket?.close(1000);
    },
    forget() {
      awaited.delete(url);
    },
  };
}
