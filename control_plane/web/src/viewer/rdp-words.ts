/** What RDP's ends mean here, and how large a screen may be asked for. Pure. */

import type { Closed, Size } from "./viewer.ts";

/** What is asked for when nothing is known of the window or of the screen. */
export const USUAL: Size = { width: 1280, height: 720 };

/** The screen to ask for in a window of this size.
 *
 * A width in fours, because IronRDP takes a picture's width for the length of its lines in
 * memory, and servers pad those to four pixels; an even height, as displays have. */
export function screenFor(window: Size): Size {
  const within = (value: number, most: number, step: number) =>
    Math.floor(Math.min(Math.max(value, 200), most) / step) * step;
  return { width: within(window.width, 7680, 4), height: within(window.height, 4320, 2) };
}

/** IronRDP's kinds of errors, by number. */
const KINDS: readonly string[] = [
  "general: The connection to the desktop broke.",
  "wrong_password: The desktop did not accept its own password.",
  "logon_failed: The desktop did not let us in.",
  "access_denied: The desktop denies access.",
  "gate_refused: The gate did not open the desktop.",
  "proxy_unreachable: The connection to the gate could not be opened.",
  "negotiation_failed: The desktop and this viewer agree on no way to connect.",
];
const AGAIN = 4010;
const REFUSED = 4005;
const GENERAL = 0;
const PROXY = 5;

/** Why a connection did not come about or broke, when the socket's end does not say it. */
export function failed(kind: number | null): Closed {
  const reason = KINDS[kind ?? GENERAL] ?? KINDS[GENERAL] ?? "";
  const passing = kind === null || kind === GENERAL || kind === PROXY;
  return { code: passing ? AGAIN : REFUSED, reason };
}

const TAKEN = 4003;

/** What a server said as it ended the session by itself. */
export function endedByServer(said: string): Closed {
  if (/other connection|another connection/iu.test(said)) {
    return { code: TAKEN, reason: "superseded: Another viewer has taken this desktop over." };
  }
  if (/logged ?off|logoff|log off/iu.test(said)) {
    return { code: AGAIN, reason: "logged_off: Somebody logged off in the desktop." };
  }
  if (/idle/iu.test(said)) {
    return { code: TAKEN, reason: "idle: The desktop closes viewers that do nothing." };
  }
  return { code: AGAIN, reason: "disconnected: The desktop ended the connection." };
}

/** Texts have lines ended by LF here and by CR and LF in RDP. */
export const fromRdp = (text: string): string => text.replaceAll("\r\n", "\n").replace(/\0+$/u, "");

/** What is put there for a character beyond 0xFFFF: xrdp 0.9 gives whoever pastes such a text no
 * answer at all. */
export const toRdp = (text: string): string => text.replaceAll(/[\u{10000}-\u{10ffff}]/gu, "\ufffd");
