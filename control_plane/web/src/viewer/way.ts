/** What the viewer needs of whoever shows it: the console, or the page of `porthole open`. */

import type { Session } from "../api/types.ts";
import type { Mode } from "./viewer.ts";

/** What is said of a session while it is looked at. */
export type Desktop = Pick<
  Session,
  "id" | "name" | "protocol" | "phase" | "reason" | "message" | "agent" | "home" | "created_at"
> &
  Partial<Pick<Session, "spec">>;

/** Which way the clipboard may go, and how many bytes of it. The gate sees to that; we say so. */
export interface ClipboardRules {
  upload: boolean;
  download: boolean;
  most: number;
}

/** What everybody may who was told nothing else. */
export const OPEN: ClipboardRules = { upload: true, download: true, most: 2 ** 20 };

/** Both reject with a Problem. */
export interface Pictures {
  /** What was copied in the desktop; null: no picture. */
  take(): Promise<Blob | null>;
  /** Have it pasted in the desktop. */
  give(png: Blob): Promise<void>;
}

/** The right to open one stream: the address of its WebSocket, and what the stream is called. */
export interface Ticket {
  url: string;
  stream?: string;
  clipboard?: ClipboardRules;
}

/** The way to one desktop. */
export interface Way {
  /** A new right to open one stream. Rejects with a Problem; its code is `stream_unknown` where
   * what it `replaces`, the `stream` of an earlier ticket, is not known as ours there. */
  ticket(mode: Mode, channel: string, replaces?: string): Promise<Ticket>;
  /** Whether files can be reached that way. */
  files?: boolean;
  /** The picture on the desktop's clipboard (PNG), where it can be had that way. */
  pictures?: Pictures;
  /** Whether what the desktop plays can be heard that way. */
  sound?: boolean;
  /** Whether one can speak into the desktop that way. */
  microphone?: boolean;
  /** Has its things so large, in percent; left out where that cannot be done from here. */
  scale?(percent: number): Promise<void>;
  /** A stream has ended by itself: the session's phase may say why. */
  ended(): void;
  /** Whoever looks is not known any more. */
  expired(): void;
}

/** The ticket's address may be relative or http(s): sockets want ws(s). */
export function absolute(url: string): string {
  const address = new URL(url, location.href);
  if (address.protocol === "http:") address.protocol = "ws:";
  if (address.protocol === "https:") address.protocol = "wss:";
  return address.href;
}
