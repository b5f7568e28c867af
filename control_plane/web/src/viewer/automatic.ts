/**
 * How good a picture a line can carry: one step worse soon after it is late, one better only when
 * it has been easy for a while. Pure: told once a second how the line is.
 */

import type { Figures } from "./meter.ts";
import type { Quality } from "./viewer.ts";

const STEPS: readonly Quality[] = ["light", "balanced", "sharp"];
/** Milliseconds that an answer waits behind pictures, beyond the line's own length. */
const LATE_MS = 200;
const PROMPT_MS = 60;
/** Something comes all the time, and yet few pictures: the line is full. */
const FULL = 0.8;
const FEW_FRAMES = 10;
const FAIR_FRAMES = 20;
/** Seconds in a row before a step. */
const DOWN_AFTER = 2;
const UP_AFTER = 6;
/** A step up that is taken back within so many seconds was a mistake: the next waits twice as long. */
const MISTAKEN_WITHIN = 20;
const LONGEST_UP = 120;

type Line = Pick<Figures, "frames" | "busy" | "trip">;

export class Automatic {
  quality: Quality = "balanced";
  #length = Infinity;
  #late = 0;
  #easy = 0;
  #patience = UP_AFTER;
  #sinceUp = Infinity;

  /** Take how the last second was; return what to ask for in the next. */
  take(line: Line): Quality {
    if (line.trip !== null) this.#length = Math.min(this.#length, line.trip);
    const waits = line.trip === null ? null : line.trip - this.#length;
    const full = line.busy >= FULL;
    const late = (waits !== null && waits > LATE_MS) || (full && line.frames < FEW_FRAMES);
    const prompt = waits === null || waits < PROMPT_MS;
    const easy = !late && prompt && !(full && line.frames < FAIR_FRAMES);
    this.#late = late ? this.#late + 1 : 0;
    this.#easy = easy ? this.#easy + 1 : 0;
    this.#sinceUp += 1;
    const at = STEPS.indexOf(this.quality);
    if (this.#late >= DOWN_AFTER && at > 0) {
      if (this.#sinceUp <= MISTAKEN_WITHIN) {
        this.#patience = Math.min(this.#patience * 2, LONGEST_UP);
      }
      this.#step(at - 1);
      this.#sinceUp = Infinity;
    } else if (this.#easy >= this.#patience && at < STEPS.length - 1) {
      this.#step(at + 1);
      this.#sinceUp = 0;
    }
    return this.quality;
  }

  /** The line is another one: how long it is has to be seen anew. */
  forget(): void {
    this.#length = Infinity;
    this.#late = 0;
    this.#easy = 0;
  }

  #step(to: number): void {
    this.quality = STEPS[to] ?? this.quality;
    this.#late = 0;
    this.#easy = 0;
  }
}
