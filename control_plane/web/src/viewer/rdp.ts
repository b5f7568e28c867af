/** The viewer of RDP desktops: IronRDP behind our `Viewer`.
 *
 * Its web component is left out: it polls the clipboard and brings styles that the page's policy
 * forbids. What the gate does for both kinds of clients is not done here: it logs in, sets the
 * colour depth and knows where the desktop is; the right to all that is in the socket's address.
 */

import { Backend, enableCredssp, init } from "@devolutions/iron-remote-desktop-rdp";

import { pixels } from "./density.ts";
import { Entry } from "./entry.ts";
import { keyOf } from "./keys.ts";
import { whenPainted } from "./painted.ts";
import { follow, handOf, press } from "./rdp-input.ts";
import { endedByServer, failed, fromRdp, screenFor, toRdp, USUAL } from "./rdp-words.ts";
import { whenActed, whenShown } from "./shown.ts";
import { watch } from "./sockets.ts";
import type { Closed, OpenViewer, Scaling, Size, Viewer, ViewerEvents, ViewerOptions } from "./viewer.ts";

type Session = Awaited<ReturnType<InstanceType<typeof Backend.SessionBuilder>["connect"]>>;
type Clipboard = InstanceType<typeof Backend.ClipboardData>;

/** A window is being dragged to its size until it has kept one for this long. */
const SETTLED_MS = 500;
/** How long the socket's own word on its end is waited for. */
const LAST_WORD_MS = 500;

let ready: Promise<void> | null = null;

/** Return `openRdp` once its WebAssembly has been compiled. */
export async function prepared(): Promise<OpenViewer> {
  ready ??= init("WARN");
  try {
    await ready;
  } catch (error) {
    ready = null;
    throw error;
  }
  return openRdp;
}

export function openRdp(options: ViewerOptions, events: ViewerEvents): Viewer {
  const holder = document.createElement("div");
  Object.assign(holder.style, { position: "absolute", inset: "0", overflow: "auto", display: "flex" });
  const canvas = document.createElement("canvas");
  Object.assign(canvas.style, { margin: "auto", flex: "none", outline: "none", touchAction: "none" });
  canvas.setAttribute("aria-label", "The remote desktop");
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-description", "Ctrl, Alt and Shift together lead out of it.");
  canvas.tabIndex = 0;
  holder.append(canvas);
  options.into.append(holder);

  const uses = options.mode === "control";
  const { meter } = options;
  const socket = watch(options.url, (bytes) => meter.came(performance.now(), bytes));
  whenShown(canvas, (at) => meter.shown(at));
  whenActed(canvas, (at) => meter.acted(at));
  const listening = new AbortController();
  let session: Session | null = null;
  let scaling = options.scaling;
  let painted = false;
  let over = false;
  let owed: string | null = null;
  let settling: ReturnType<typeof setTimeout> | undefined;

  let grain = options.density;
  const wanted = (): Size => screenFor(pixels(options.room(), grain));
  const asked = uses && scaling === "match" ? wanted() : (options.screen ?? USUAL);

  function end(how: Closed): void {
    if (over) return;
    over = true;
    clearTimeout(settling);
    listening.abort();
    entry?.remove();
    looking.disconnect();
    socket.forget();
    // A session says goodbye first; one that does not is cut.
    if (session) setTimeout(socket.close, LAST_WORD_MS);
    else socket.close();
    holder.remove();
    events.closed(how);
  }

  /** It broke: the socket knows why, if it was that; it may not have said so yet. */
  async function broke(otherwise: Closed): Promise<void> {
    await socket.closed(LAST_WORD_MS);
    const { how } = socket;
    end(how && how.code !== 1000 && how.code !== 1005 ? how : otherwise);
  }

  function lay(): void {
    const place = options.room();
    const fit = Math.min(place.width / canvas.width, place.height / canvas.height) || 1;
    // What matches but for a rounded edge is not blown up.
    const whole = scaling === "match" && uses ? Math.min(1 / grain, fit) : fit;
    // Looked at from nearer, the element is larger than its place.
    const { width } = options.into.getBoundingClientRect();
    const factor = scaling === "actual" ? 1 : (whole * width) / (place.width || 1);
    canvas.style.width = `${canvas.width * factor}px`;
    canvas.style.height = `${canvas.height * factor}px`;
    holder.style.overflow = scaling === "actual" ? "auto" : "hidden";
  }

  /** Ask for a screen of the window's size, when it has kept one and the screen has another. */
  function settle(): void {
    clearTimeout(settling);
    if (!uses || scaling !== "match" || !painted) return;
    settling = setTimeout(() => {
      const { width, height } = options.room();
      const visible = width > 0 && height > 0 && document.visibilityState === "visible";
      if (visible && (wanted().width !== asked.width || wanted().height !== asked.height)) {
        events.outgrown();
      }
    }, SETTLED_MS);
  }

  const looking = new ResizeObserver(() => {
    lay();
    settle();
  });
  looking.observe(options.into);
  if (uses) follow(canvas, () => session, focus, listening.signal);
  function releaseKeys(): void {
    if (!over && uses) session?.releaseAllInputs();
  }
  function write(text: string): void {
    if (!session || over) return;
    for (const character of text) press(session, [keyOf(character)]);
  }
  // Where a touch would open the on-screen keyboard, `TouchKeyboard` is the field.
  const typed = uses && !matchMedia("(pointer: coarse)").matches;
  const entry = typed ? new Entry(canvas, write, releaseKeys, "place") : null;
  function focus(): void {
    if (entry) entry.focus();
    else canvas.focus({ preventScroll: true });
  }

  function give(text: string | null): void {
    if (!session) return;
    const data = new Backend.ClipboardData();
    if (text !== null) data.addText("text/plain", toRdp(text));
    void session.onClipboardPaste(data).catch(() => undefined);
  }

  async function run(): Promise<void> {
    try {
      session = await new Backend.SessionBuilder()
        .proxyAddress(options.url)
        .destination("desktop")
        .serverDomain("")
        .username("porthole")
        .password("")
        .authToken("in-the-address")
        .desktopSize(new Backend.DesktopSize(asked.width, asked.height))
        .renderCanvas(canvas)
        .setCursorStyleCallbackContext(null)
        .setCursorStyleCallback(point)
        .remoteClipboardChangedCallback((data: Clipboard) => {
          const text = data.items().find((item) => item.mimeType() === "text/plain")?.value();
          if (typeof text === "string" && !over) events.copied(fromRdp(text));
        })
        .forceClipboardUpdateCallback(() => give(owed))
        .canvasResizedCallback(lay)
        .extension(enableCredssp(false))
        .connect();
    } catch (error) {
      await broke(failed(kindOf(error)));
      return;
    }
    if (over) {
      session.shutdown();
      return;
    }
    const size = session.desktopSize();
    if (canvas.width !== size.width) canvas.width = size.width;
    if (canvas.height !== size.height) canvas.height = size.height;
    lay();
    events.connected();
    whenPainted(
      canvas,
      () => !over,
      () => {
        painted = true;
        events.painted();
        settle();
      },
    );
    const how = await session.run().then(
      (ended) => endedByServer(ended.reason()),
      (error: unknown) => failed(kindOf(error)),
    );
    // Whoever is still at the keys would be answered with an error.
    session = null;
    await broke(how);
  }

  function point(style: string, image?: string, x?: number, y?: number): void {
    const hidden = style === "hidden" ? "none" : "default";
    const drawn = style === "url" && image !== undefined;
    canvas.style.cursor = drawn ? `url(${image}) ${Math.round(x ?? 0)} ${Math.round(y ?? 0)}, default` : hidden;
  }

  void run();

  return {
    scale(to: Scaling): void {
      scaling = to;
      lay();
      settle();
    },
    limit(): void {
      // IronRDP asks for RemoteFX as it comes.
    },
    grain(to: number): void {
      grain = to;
      lay();
      settle();
    },
    probe(): void {
      // RDP has no question that is answered behind the pictures.
    },
    hand: uses ? handOf(canvas, () => session) : null,
    releaseKeys,
    press(chord): void {
      if (session && !over && uses) press(session, chord);
    },
    paste(text: string): void {
      owed = text;
      if (!over && uses) give(text);
    },
    focus,
    snapshot(): HTMLCanvasElement | null {
      if (!painted) return null;
      const copy = document.createElement("canvas");
      copy.width = canvas.width;
      copy.height = canvas.height;
      copy.getContext("2d")?.drawImage(canvas, 0, 0);
      return copy;
    },
    close(): void {
      if (over) return;
      session?.shutdown();
      end({ code: 1000, reason: "" });
    },
  };
}

/** The number of an IronRDP error's kind; null for anything else that was thrown. */
function kindOf(error: unknown): number | null {
  const kind = (error as { kind?: () => unknown } | null)?.kind?.();
  return typeof kind === "number" ? kind : null;
}
