/**
 * What the console asks of anything that can show a desktop.
 *
 * `vnc.ts` is one; another protocol becomes another function of type `OpenViewer`. A viewer
 * lives for one connection: when it has closed, it is thrown away and a new one is opened
 * with a new ticket (`connection.svelte.ts` does that).
 */

import type { Hand } from "./fingers.ts";
import type { Meter } from "./meter.ts";

/** How the picture meets the window: shrunk or grown to fit, pixel for pixel, or the remote
 * screen itself takes the window's size. */
export type Scaling = "fit" | "actual" | "match";

/** What a person may do: use the desktop, or only watch it. */
export type Mode = "control" | "view";

/** How much of the line may be spent on the picture. */
export type Quality = "sharp" | "balanced" | "light";

/** What may be spent, and on how many pictures a second (null: as many as there are). */
export interface Spending {
  quality: Quality;
  frames: number | null;
}

/** One key of the remote keyboard: its X11 keysym, and the physical key that it sits on. */
export interface Key {
  keysym: number;
  code: string;
}

/** How a connection ended: a WebSocket close code and the text that came with it. */
export interface Closed {
  code: number;
  reason: string;
}

export interface Size {
  width: number;
  height: number;
}

/** What a viewer tells while it lives. After `closed` it says nothing more. */
export interface ViewerEvents {
  /** The remote side let us in; nothing has been painted yet. */
  connected(): void;
  /** The first picture is on the screen. */
  painted(): void;
  /** Text was copied in the desktop. */
  copied(text: string): void;
  /** The desktop rang its bell. */
  rang(): void;
  /** The screen is to have another size, which takes another connection. */
  outgrown(): void;
  closed(how: Closed): void;
}

export interface ViewerOptions {
  /** The WebSocket's address, with the right to open it in it. */
  url: string;
  mode: Mode;
  scaling: Scaling;
  spending: Spending;
  /** The remote screen's pixels to a point of the page, where it takes the window's size. */
  density: number;
  /** The place that the remote screen is to fit, in points. */
  room: () => Size;
  /** Told what happens on the line. */
  meter: Meter;
  /** The size of the remote screen when it was last seen here, or null. */
  screen: Size | null;
  /** The element to draw in; the viewer adds one child to it and takes it away at the end. */
  into: HTMLElement;
}

export interface Viewer {
  scale(scaling: Scaling): void;
  limit(spending: Spending): void;
  /** Have so many pixels to a point. */
  grain(density: number): void;
  /** Time an answer of the desktop's, if its protocol has such a thing. */
  probe(): void;
  /** Its mouse, for who has none; null if it may not be used. */
  readonly hand: Hand | null;
  /** Press the keys in order and let them go in reverse. */
  press(chord: readonly Key[]): void;
  /** Let go of every key that the desktop believes is held. */
  releaseKeys(): void;
  /** Put a text on the desktop's clipboard. */
  paste(text: string): void;
  focus(): void;
  /** A copy of what is on the screen now, or null before the first picture. */
  snapshot(): HTMLCanvasElement | null;
  /** End the connection; `closed` is told with code 1000. */
  close(): void;
}

export type OpenViewer = (options: ViewerOptions, events: ViewerEvents) => Viewer;

/** The protocols that can be looked at here, each loaded only when it is needed. */
const PROTOCOLS: Readonly<Record<string, () => Promise<OpenViewer>>> = {
  vnc: async () => (await import("./vnc.ts")).openVnc,
  rdp: async () => (await import("./rdp.ts")).prepared(),
};

/** Whether desktops can be looked at over this protocol here. */
export const isShown = (protocol: string | undefined): protocol is string =>
  protocol !== undefined && Object.hasOwn(PROTOCOLS, protocol);

/**
 * Load the viewer of a protocol.
 *
 * @throws Error in a sentence, if this console cannot show it or its code did not arrive.
 */
export async function loadViewer(protocol: string): Promise<OpenViewer> {
  const load = PROTOCOLS[protocol];
  if (!load) {
    throw new Error(`This console cannot show desktops that speak ${protocol.toUpperCase()}.`);
  }
  try {
    return await load();
  } catch {
    throw new Error("The viewer did not load. Check the connection, then reload the page.");
  }
}
