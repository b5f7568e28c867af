/** The viewer of RFB desktops: noVNC behind our `Viewer`. */

import RFB from "@novnc/novnc";

import { Entry } from "./entry.ts";
import { keyOf } from "./keys.ts";
import { whenPainted } from "./painted.ts";
import type { Closed, Key, Quality, Scaling, Viewer, ViewerEvents, ViewerOptions } from "./viewer.ts";

const JPEG_QUALITY: Readonly<Record<Quality, number>> = { sharp: 9, balanced: 6, light: 2 };
const COMPRESSION: Readonly<Record<Quality, number>> = { sharp: 1, balanced: 2, light: 8 };

export function openVnc(options: ViewerOptions, events: ViewerEvents): Viewer {
  // The socket is ours and handed over, because noVNC keeps the close code to itself. This
  // listener is older than noVNC's own, so that `how` is known when `disconnect` comes.
  const socket = new WebSocket(options.url, ["binary"]);
  let how: Closed | null = null;
  socket.addEventListener("close", (event) => {
    how = { code: event.code, reason: event.reason };
  });

  const rfb = new RFB(options.into, socket, { shared: true });
  rfb.background = "transparent";
  rfb.showDotCursor = true;
  rfb.viewOnly = options.mode === "view";
  const canvas = options.into.querySelector("canvas");
  if (!canvas) throw new Error("noVNC made no canvas.");
  canvas.setAttribute("aria-label", "The remote desktop");
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-description", "Ctrl, Alt and Shift together lead out of it.");
  canvas.tabIndex = 0;

  let painted = false;
  let asked = false;
  let refused = "";

  function scale(scaling: Scaling): void {
    rfb.scaleViewport = scaling !== "actual";
    rfb.resizeSession = scaling === "match" && options.mode === "control";
  }

  function limit(quality: Quality): void {
    rfb.qualityLevel = JPEG_QUALITY[quality];
    rfb.compressionLevel = COMPRESSION[quality];
  }

  // noVNC lets go of keys when the window loses focus, and not when the canvas alone does.
  const held = new Set<string>();
  canvas.addEventListener("keydown", (event) => held.add(event.code), true);
  canvas.addEventListener("keyup", (event) => held.delete(event.code), true);
  function releaseKeys(): void {
    for (const code of [...held]) canvas?.dispatchEvent(new KeyboardEvent("keyup", { code }));
  }
  canvas.addEventListener("blur", releaseKeys);

  function press(chord: readonly Key[]): void {
    for (const key of chord) rfb.sendKey(key.keysym, key.code, true);
    for (const key of [...chord].reverse()) rfb.sendKey(key.keysym, key.code, false);
  }

  // Where a touch would open the on-screen keyboard, `TouchKeyboard` is the field.
  const typed = options.mode === "control" && !matchMedia("(pointer: coarse)").matches;
  const entry = typed
    ? new Entry(canvas, (text) => [...text].forEach((one) => press([keyOf(one)])), releaseKeys)
    : null;

  rfb.addEventListener("connect", () => {
    events.connected();
    whenPainted(
      canvas,
      () => !how && !asked,
      () => {
        painted = true;
        events.painted();
      },
    );
  });
  rfb.addEventListener("clipboard", (event) => events.copied(event.detail.text));
  rfb.addEventListener("bell", () => events.rang());
  rfb.addEventListener("securityfailure", (event) => {
    refused = event.detail.reason ?? "the desktop refused the connection";
  });
  rfb.addEventListener("credentialsrequired", () => {
    refused = "the desktop asks for a password, which it never should";
    rfb.disconnect();
  });
  rfb.addEventListener("disconnect", () => {
    entry?.remove();
    if (asked) how = { code: 1000, reason: "" };
    // The socket is still open: it was noVNC that gave up on what it read.
    how ??= { code: 4008, reason: `protocol: ${refused || "The picture could not be understood"}.` };
    events.closed(how);
  });

  scale(options.scaling);
  limit(options.quality);

  return {
    scale,
    limit,
    releaseKeys,
    press,
    paste(text: string): void {
      rfb.clipboardPasteFrom(text);
    },
    focus(): void {
      rfb.focus({ preventScroll: true });
    },
    snapshot(): HTMLCanvasElement | null {
      if (!painted) return null;
      const copy = document.createElement("canvas");
      copy.width = canvas.width;
      copy.height = canvas.height;
      copy.getContext("2d")?.drawImage(canvas, 0, 0);
      return copy;
    },
    close(): void {
      if (how || asked) return;
      asked = true;
      rfb.disconnect();
    },
  };
}
