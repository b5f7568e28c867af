/**
 * What a person sees of the line: pictures a second, bytes a second, how long until what they do
 * shows. Pure: it is told what happens and when, in milliseconds of one clock.
 */

/** So much of the past is looked at. */
const WINDOW_MS = 1_000;
/** A picture later than this does not answer what was done. */
const FORGOTTEN_MS = 1_500;
/** Only a screen that stood still before says by a picture that it has reacted. */
const STILL_MS = 80;
const KEPT = 5;
const SLICES = 20;

export interface Figures {
  /** Pictures that were shown in the last second. */
  frames: number;
  /** Bytes that came in it. */
  bytes: number;
  /** In how much of it something came, 0 to 1. */
  busy: number;
  /** Milliseconds from a key or click to the picture, the middle of the last few; null: not known. */
  reaction: number | null;
  /** Milliseconds to the desktop and back, behind what is under way; null: the protocol cannot say. */
  trip: number | null;
}

export class Meter {
  #frames: number[] = [];
  #arrivals: { at: number; bytes: number }[] = [];
  #reactions: number[] = [];
  #acted: number | null = null;
  #asked: number | null = null;
  #trip: number | null = null;

  /** Somebody pressed a key or a button. */
  acted(at: number): void {
    const still = at - (this.#frames.at(-1) ?? -Infinity) > STILL_MS;
    if (this.#acted === null || at - this.#acted > FORGOTTEN_MS) this.#acted = still ? at : null;
  }

  /** A changed picture was shown. */
  shown(at: number): void {
    this.#frames.push(at);
    if (this.#acted === null) return;
    if (at - this.#acted <= FORGOTTEN_MS) {
      this.#reactions = [...this.#reactions, at - this.#acted].slice(-KEPT);
    }
    this.#acted = null;
  }

  /** So many bytes came. */
  came(at: number, bytes: number): void {
    this.#arrivals.push({ at, bytes });
  }

  /** The desktop was asked for an answer; false: it still owes the last one. */
  asked(at: number): boolean {
    if (this.#asked !== null) {
      // It has been under way for so long at least.
      this.#trip = Math.max(this.#trip ?? 0, at - this.#asked);
      return false;
    }
    this.#asked = at;
    return true;
  }

  /** It answered. */
  answered(at: number): void {
    if (this.#asked === null) return;
    this.#trip = at - this.#asked;
    this.#asked = null;
  }

  /** A connection ended: what it owed will not come. */
  cut(): void {
    this.#acted = null;
    this.#asked = null;
    this.#trip = null;
  }

  figures(now: number): Figures {
    const since = now - WINDOW_MS;
    this.#frames = this.#frames.filter((at) => at > since);
    this.#arrivals = this.#arrivals.filter(({ at }) => at > since);
    const slice = (at: number) => Math.floor(((at - since) / WINDOW_MS) * SLICES);
    const sorted = [...this.#reactions].sort((one, other) => one - other);
    return {
      frames: this.#frames.length,
      bytes: this.#arrivals.reduce((sum, { bytes }) => sum + bytes, 0),
      busy: new Set(this.#arrivals.map(({ at }) => slice(at))).size / SLICES,
      reaction: sorted[sorted.length >> 1] ?? null,
      trip: this.#trip,
    };
  }
}

/** The figures in words: `24 frames/s · 1.2 Mbit/s · line 12 ms · key to picture 30 ms`. */
export function inWords(figures: Figures): string {
  const { frames, bytes, trip, reaction } = figures;
  const bits = bytes * 8;
  const rate = bits < 1e6 ? `${Math.round(bits / 1e3)} kbit/s` : `${(bits / 1e6).toFixed(1)} Mbit/s`;
  const words = [`${frames} frames/s`, rate];
  if (trip !== null) words.push(`line ${Math.round(trip)} ms`);
  if (reaction !== null) words.push(`key to picture ${Math.round(reaction)} ms`);
  return words.join(" · ");
}
