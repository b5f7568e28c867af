/**
 * Keeps one desktop on the screen: asks for a ticket, opens a viewer, and does both again
 * whenever the way there breaks, for as long as there is something to come back to.
 */

import { asProblem } from "../api/problem.ts";
import { Automatic } from "./automatic.ts";
import { ending, pause, TRIES, type Ending } from "./endings.ts";
import type { Hand } from "./fingers.ts";
import { Meter, type Figures } from "./meter.ts";
import {
  loadViewer,
  type Closed,
  type Key,
  type Mode,
  type Quality,
  type Scaling,
  type Size,
  type Viewer,
} from "./viewer.ts";
import { absolute, OPEN, type ClipboardRules, type Way } from "./way.ts";

/**
 * - `idle`: nothing to look at yet
 * - `opening`: the first picture is on its way
 * - `open`: there is a picture and it is live
 * - `reconnecting`: it was there; the last frame stands until it is back
 * - `stopped`: it ended and will not come back by itself; `ending` says why
 */
export type ConnectionState = "idle" | "opening" | "open" | "reconnecting" | "stopped";

/** Without a picture for this long, an attempt has failed. */
const PATIENCE_MS = 12_000;
/** A picture that stood this long was a good connection: the back-off begins anew. After a
 * shorter one it does not begin at nothing, lest a viewer that is cut at once runs in circles. */
const SOLID_MS = 2_000;
/** So often the line is looked at. */
const LOOKED_AT_MS = 1_000;
const FAILURES_AFTER_FLASH = 2;

/** What the person has chosen; it changes while they look. */
export interface Choices {
  mode: Mode;
  scaling: Scaling;
  chosen: Quality | "automatic";
  /** Pictures a second at the most; null: as many as there are. */
  frames: number | null;
  /** The desktop's pixels to a point of the page. */
  density: number;
}

export class Connection {
  state = $state<ConnectionState>("idle");
  ending = $state.raw<Ending | null>(null);
  /** What is wrong while it reconnects. */
  trouble = $state("");
  attempts = $state(0);
  /** The picture as it was when the line broke. */
  lastFrame = $state.raw<HTMLCanvasElement | null>(null);
  /** How the line is; null while there is no picture. */
  figures = $state.raw<Figures | null>(null);
  /** What is spent on the picture now. */
  quality = $state<Quality>("balanced");

  /** Which way the clipboard may go. */
  clipboard = $state.raw<ClipboardRules>(OPEN);

  /** Told when text was copied in the desktop. */
  oncopy: (text: string) => void = () => {};
  /** Told when a picture is there. */
  onpicture: () => void | Promise<void> = () => {};

  #viewer: Viewer | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts attempts that are still wanted; what an older one brings is thrown away. */
  #run = 0;
  #failures = 0;
  #paintedAt: number | null = null;
  #screen: Size | null = null;
  /** The newest stream that we were let in by: what was pressed on it may still be held. */
  #stream: string | undefined;
  readonly #meter = new Meter();
  readonly #automatic = new Automatic();
  #looking: ReturnType<typeof setInterval> | undefined;

  /**
   * @param into what the picture is drawn in.
   * @param room how much place there is for it, in points.
   */
  constructor(
    private readonly way: Way,
    private protocol: string,
    private readonly into: HTMLElement,
    private readonly room: () => Size,
    private readonly choices: Choices,
  ) {
    const { chosen } = choices;
    this.quality = chosen === "automatic" ? this.#automatic.quality : chosen;
    this.#looking = setInterval(() => this.#look(), LOOKED_AT_MS);
    addEventListener("online", this.hurry);
    document.addEventListener("visibilitychange", this.#seen);
    // While the desktop starts there is time to load what shows it.
    void loadViewer(protocol).catch(() => undefined);
  }

  /** Connect, unless that has been done. */
  start(): void {
    if (this.state === "idle" || this.state === "stopped") {
      this.state = this.state === "stopped" && this.lastFrame ? "reconnecting" : "opening";
      this.#failures = 0;
      this.attempts = 0;
      this.#attempt();
    }
  }

  /** Disconnect because it does not run; `start` connects again. `keep` leaves the last frame
   * as a memory. */
  stop({ keep = false } = {}): void {
    if (keep) this.#keepFrame();
    else this.lastFrame = null;
    this.#drop();
    this.ending = null;
    this.state = "idle";
  }

  /** Disconnect for good. */
  destroy(): void {
    this.stop();
    clearInterval(this.#looking);
    removeEventListener("online", this.hurry);
    document.removeEventListener("visibilitychange", this.#seen);
  }

  setMode(mode: Mode): void {
    if (mode === this.choices.mode) return;
    this.choices.mode = mode;
    if (this.state !== "idle" && this.state !== "stopped") this.#anew("");
  }

  setProtocol(protocol: string): void {
    if (protocol === this.protocol) return;
    this.protocol = protocol;
    if (this.state === "stopped") this.start();
    else if (this.state !== "idle") this.#anew(`It is shown over ${protocol.toUpperCase()} now.`);
  }

  setScaling(scaling: Scaling): void {
    this.choices.scaling = scaling;
    this.#viewer?.scale(scaling);
  }

  setQuality(chosen: Quality | "automatic"): void {
    this.choices.chosen = chosen;
    this.#spend(chosen === "automatic" ? this.#automatic.quality : chosen);
  }

  /** Have at most so many pictures a second; null: as many as there are. */
  setFrames(frames: number | null): void {
    this.choices.frames = frames;
    this.#spend(this.quality);
  }

  /** The desktop's pixels to a point of the page. */
  setDensity(density: number): void {
    this.choices.density = density;
    this.#viewer?.grain(density);
  }

  /** The desktop's mouse, for fingers; null while it may not be used. */
  get hand(): Hand | null {
    return this.state === "open" ? (this.#viewer?.hand ?? null) : null;
  }

  press(chord: readonly Key[]): void {
    this.#viewer?.press(chord);
  }

  releaseKeys(): void {
    this.#viewer?.releaseKeys();
  }

  paste(text: string): void {
    this.#viewer?.paste(text);
  }

  focus(): void {
    this.#viewer?.focus();
  }

  snapshot(): HTMLCanvasElement | null {
    return this.#viewer?.snapshot() ?? this.lastFrame;
  }

  /** The person does not want to wait, or wants to come back. */
  retryNow(): void {
    if (this.state === "stopped") this.start();
    else this.hurry();
  }

  /** Do not wait for the back-off to run out: what was broken may be whole again. */
  readonly hurry = (): void => {
    if (this.#timer === undefined || this.#viewer) return;
    this.#attempt();
  };

  readonly #seen = (): void => {
    if (document.visibilityState === "visible") this.hurry();
    else this.releaseKeys();
  };

  #spend(quality: Quality): void {
    this.quality = quality;
    this.#viewer?.limit({ quality, frames: this.choices.frames });
  }

  /** See how the last second was, and what the next can carry. */
  #look(): void {
    if (this.state !== "open") {
      this.figures = null;
      return;
    }
    this.figures = this.#meter.figures(performance.now());
    // A window that nobody sees shows no pictures: that says nothing of the line.
    if (document.visibilityState !== "visible") return;
    if (this.choices.chosen === "automatic") {
      const quality = this.#automatic.take(this.figures);
      if (quality !== this.quality) this.#spend(quality);
    }
    this.#viewer?.probe();
  }

  /** Open another connection in place of this one; its last frame stands meanwhile. */
  #anew(why: string): void {
    this.#keepFrame();
    if (this.state === "open") this.state = "reconnecting";
    this.trouble = why;
    this.#attempt();
  }

  #attempt(): void {
    this.#drop();
    void this.#connect(this.#run);
  }

  async #connect(run: number): Promise<void> {
    this.attempts += 1;
    try {
      const [open, { url, clipboard, stream }] = await Promise.all([
        loadViewer(this.protocol),
        this.way.ticket(this.choices.mode, this.protocol, this.#stream),
      ]);
      if (run !== this.#run) return;
      this.clipboard = clipboard ?? OPEN;
      const patience = setTimeout(() => {
        if (run === this.#run) {
          this.#lost({ code: 1006, reason: "" }, "The desktop does not send a picture.");
        }
      }, PATIENCE_MS);
      this.#viewer = open(
        {
          url: absolute(url),
          mode: this.choices.mode,
          scaling: this.choices.scaling,
          spending: { quality: this.quality, frames: this.choices.frames },
          density: this.choices.density,
          room: this.room,
          meter: this.#meter,
          screen: this.#screen,
          into: this.into,
        },
        {
          connected: () => {
            if (run === this.#run) this.#stream = stream;
          },
          painted: () => {
            clearTimeout(patience);
            if (run === this.#run) this.#painted();
          },
          copied: (text) => {
            if (run === this.#run) this.oncopy(text);
          },
          rang: () => {},
          outgrown: () => {
            if (run === this.#run) this.#anew("The desktop takes this window's size.");
          },
          closed: (how) => {
            clearTimeout(patience);
            if (run === this.#run) this.#lost(how);
          },
        },
      );
    } catch (thrown) {
      if (run === this.#run) this.#refused(thrown);
    }
  }

  #painted(): void {
    this.#paintedAt = performance.now();
    this.attempts = 0;
    this.trouble = "";
    this.ending = null;
    this.lastFrame = null;
    this.state = "open";
    void this.onpicture();
  }

  #lost(how: Closed, sentence?: string): void {
    const end = ending(how);
    if (this.#paintedAt !== null) {
      const solid = performance.now() - this.#paintedAt > SOLID_MS;
      this.#failures = solid ? 0 : Math.min(this.#failures, FAILURES_AFTER_FLASH);
      this.#paintedAt = null;
    }
    this.#keepFrame();
    this.#drop();
    this.way.ended();
    if (end.then !== "again" && !(end.then === "try" && this.#failures < TRIES)) {
      this.ending = end;
      this.state = "stopped";
      return;
    }
    this.#again(sentence ?? end.sentence);
  }

  /** No ticket, or no viewer. */
  #refused(thrown: unknown): void {
    const problem = asProblem(thrown);
    this.#drop();
    if (problem.code === "stream_unknown" && this.#stream) {
      // It was another sign-in's, which has ended it.
      this.#stream = undefined;
      this.#attempt();
      return;
    }
    if (problem.status === 401) {
      this.way.expired();
      return;
    }
    // 409: it does not run at the moment. The page hears of its phases and stops us.
    if (problem.passing || problem.status === 409) {
      this.#again(problem.sentence, problem.retryAfter);
      return;
    }
    const then = problem.status === 404 ? "over" : "ask";
    this.ending = { then, code: problem.code, sentence: problem.sentence };
    this.state = "stopped";
  }

  #again(trouble: string, retryAfter: number | null = null): void {
    this.trouble = trouble;
    if (this.state !== "opening") this.state = "reconnecting";
    const wait = Math.max(pause(this.#failures, Math.random()), (retryAfter ?? 0) * 1000);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#attempt(), wait);
  }

  #keepFrame(): void {
    this.lastFrame = this.#viewer?.snapshot() ?? this.lastFrame;
    if (this.lastFrame) this.#screen = { width: this.lastFrame.width, height: this.lastFrame.height };
  }

  /** Let go of the viewer and of everything that is on its way. */
  #drop(): void {
    this.#run += 1;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#meter.cut();
    this.#automatic.forget();
    const viewer = this.#viewer;
    this.#viewer = null;
    viewer?.close();
  }
}
