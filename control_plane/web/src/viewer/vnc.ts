/** The viewer of RFB desktops: noVNC behind our `Viewer`. */

import { Entry } from "./entry.ts";
import type { Hand } from "./fingers.ts";
import { keyOf } from "./keys.ts";
import { pace, type Sending } from "./pace.ts";
import { whenPainted } from "./painted.ts";
import { Rfb } from "./rfb.ts";
import { whenActed, whenShown } from "./shown.ts";
import type {
  Closed,
  Key,
  Quality,
  Scaling,
  Spending,
  Viewer,
  ViewerEvents,
  ViewerOptions,
} from "./viewer.ts";

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

  const { meter } = options;
  socket.addEventListener("message", (event: MessageEvent<ArrayBuffer>) => {
    meter.came(performance.now(), event.data.byteLength);
  });
  const pacing = pace(socket as Sending, () => ({ width: canvas.width, height: canvas.height }));

  const rfb = new Rfb(options.into, socket, { shared: true });
  rfb.background = "transparent";
  rfb.showDotCursor = true;
  rfb.viewOnly = options.mode === "view";
  const canvas = options.into.querySelector("canvas") as HTMLCanvasElement;
  canvas.setAttribute("aria-label", "The remote desktop");
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-description", "Ctrl, Alt and Shift together lead out of it.");
  canvas.tabIndex = 0;
  whenShown(canvas, (at) => meter.shown(at));
  whenActed(canvas, (at) => meter.acted(at));

  let painted = false;
  let asked = false;
  let refused = "";
  let most = options.spending.frames;

  function scale(scaling: Scaling): void {
    rfb.scaleViewport = scaling !== "actual";
    rfb.resizeSession = scaling === "match" && options.mode === "control";
  }

  function limit({ quality, frames }: Spending): void {
    rfb.qualityLevel = JPEG_QUALITY[quality];
    rfb.compressionLevel = COMPRESSION[quality];
    most = frames;
    // The first picture is the whole one, and comes at once.
    if (painted) pacing.limit(most);
  }

  // noVNC lets go of keys when the window loses focus, and not when the canvas alone does.
  const held = new Set<string>();
  canvas.addEventListener("keydown", (event) => held.add(event.code), true);
  canvas.addEventListener("keyup", (event) => held.delete(event.code), true);
  function releaseKeys(): void {
    for (const code of [...held]) canvas?.dispatchEvent(new KeyboardEvent("keyup", { code }));
  }

  function press(chord: readonly Key[]): void {
    for (const key of chord) rfb.sendKey(key.keysym, key.code, true);
    for (const key of [...chord].reverse()) rfb.sendKey(key.keysym, key.code, false);
  }

  // Where a touch would open the on-screen keyboard, `TouchKeyboard` is the field.
  const typed = options.mode === "control" && !matchMedia("(pointer: coarse)").matches;
  const hand = options.mode === "control" ? mouse(canvas, rfb) : null;
  const entry = typed
    ? new Entry(
        canvas,
        (text) => [...text].forEach((one) => press([keyOf(one)])),
        releaseKeys,
        "symbol",
      )
    : null;
  if (!entry) canvas.addEventListener("blur", releaseKeys);

  rfb.addEventListener("connect", () => {
    events.connected();
    whenPainted(
      canvas,
      () => !how && !asked,
      () => {
        painted = true;
        pacing.limit(most);
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
    pacing.stop();
    hand?.leave();
    if (asked) how = { code: 1000, reason: "" };
    // The socket is still open: it was noVNC that gave up on what it read.
    how ??= { code: 4008, reason: `protocol: ${refused || "The picture could not be understood"}.` };
    events.closed(how);
  });

  scale(options.scaling);
  limit(options.spending);
  rfb.want(options.room, options.density);

  return {
    scale,
    limit,
    grain(to: number): void {
      rfb.want(options.room, to);
    },
    probe(): void {
      if (painted && rfb.answers && meter.asked(performance.now())) {
        rfb.probe(() => meter.answered(performance.now()));
      }
    },
    hand,
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

/** What noVNC takes for a mouse. */
function mouse(canvas: HTMLCanvasElement, rfb: Rfb): Hand & { leave(): void } {
  let buttons = 0;
  function say(target: EventTarget, kind: string, x: number, y: number, button = 0): void {
    const about = { clientX: x, clientY: y, button, buttons, cancelable: true };
    target.dispatchEvent(new MouseEvent(kind, about));
  }
  /** From its `mousedown` on noVNC listens to the window, and covers the page until then. */
  function release(x: number, y: number, button: number): void {
    buttons = 0;
    say(window, "mouseup", x, y, button);
  }
  return {
    move: (x, y) => say(canvas, "mousemove", x, y),
    press(x, y, button) {
      buttons = button === 2 ? 2 : 1;
      // A mouse takes the focus; whoever has fingers may be at their on-screen keyboard.
      rfb.focusOnClick = false;
      say(canvas, "mousedown", x, y, button);
      rfb.focusOnClick = true;
    },
    release,
    leave() {
      if (buttons !== 0) release(0, 0, 0);
    },
    turn(x, y, dx, dy) {
      const about = { clientX: x, clientY: y, deltaX: dx, deltaY: dy, cancelable: true };
      canvas.dispatchEvent(new WheelEvent("wheel", about));
    },
  };
}
