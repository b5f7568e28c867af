/**
 * What fingers on a picture mean. Pure: told where the fingers are and when, in milliseconds; it
 * says what a mouse would do, and what becomes of the picture itself.
 *
 * One finger: tap is a click, a long press the right button, a drag drags. Two fingers: tap is the
 * right button, a drag scrolls, a pinch makes the picture larger.
 */

export interface Finger {
  id: number;
  x: number;
  y: number;
}

export type Act =
  | { do: "click"; x: number; y: number; button: 0 | 2 }
  | { do: "press"; x: number; y: number }
  | { do: "move"; x: number; y: number }
  | { do: "release"; x: number; y: number }
  /** What lay under the fingers when they came is scrolled, wherever they have gone since. */
  | { do: "scroll"; x: number; y: number; dx: number; dy: number }
  | { do: "pinch"; x: number; y: number; dx: number; dy: number; ratio: number };

export const LONG_PRESS_MS = 550;
const TAP_MS = 450;
const STILL = 10;
const SPREAD = 22;
/** A second tap so near to the first is meant for the same place. */
const DOUBLE_MS = 450;
const DOUBLE_NEAR = 30;

interface Two {
  x: number;
  y: number;
  apart: number;
}

type State =
  | { is: "none" | "over" }
  | { is: "one"; at: number; x: number; y: number }
  | { is: "drag"; x: number; y: number }
  | { is: "two"; at: number; from: Two }
  | { is: "scroll" | "pinch"; from: Two; last: Two };

export class Gestures {
  #state: State = { is: "none" };
  #tap: { at: number; x: number; y: number } | null = null;

  /** Take all fingers that are down now. */
  take(fingers: readonly Finger[], at: number): Act[] {
    const state = this.#state;
    const [first, second] = fingers;
    if (!first) return this.#lifted(at);
    switch (state.is) {
      case "none":
        this.#state = second
          ? { is: "two", at, from: between(first, second) }
          : { is: "one", at, x: first.x, y: first.y };
        return [];
      case "one":
        if (second) {
          this.#state = { is: "two", at: state.at, from: between(first, second) };
          return [];
        }
        if (Math.hypot(first.x - state.x, first.y - state.y) <= STILL) return [];
        this.#state = { is: "drag", x: first.x, y: first.y };
        return [
          { do: "press", x: state.x, y: state.y },
          { do: "move", x: first.x, y: first.y },
        ];
      case "drag":
        if (second) {
          this.#state = { is: "over" };
          return [{ do: "release", x: state.x, y: state.y }];
        }
        this.#state = { is: "drag", x: first.x, y: first.y };
        return [{ do: "move", x: first.x, y: first.y }];
      case "two": {
        if (!second) {
          this.#state = { is: "over" };
          return at - state.at <= TAP_MS ? [rightClick(state.from)] : [];
        }
        const now = between(first, second);
        const wide = Math.abs(now.apart - state.from.apart);
        const far = Math.hypot(now.x - state.from.x, now.y - state.from.y);
        if (wide < SPREAD && far < STILL) return [];
        const { from } = state;
        this.#state = { is: wide >= SPREAD && wide > far ? "pinch" : "scroll", from, last: from };
        return this.take(fingers, at);
      }
      case "scroll":
      case "pinch": {
        if (!second) {
          this.#state = { is: "over" };
          return [];
        }
        const { from, last } = state;
        const now = between(first, second);
        this.#state = { is: state.is, from, last: now };
        const moved = { dx: now.x - last.x, dy: now.y - last.y };
        if (state.is === "scroll") return [{ do: "scroll", x: from.x, y: from.y, ...moved }];
        return [{ do: "pinch", x: now.x, y: now.y, ...moved, ratio: now.apart / last.apart }];
      }
      case "over":
        return [];
    }
  }

  /** Time has passed: a finger that has stayed presses the right button. */
  wait(at: number): Act[] {
    const state = this.#state;
    if (state.is !== "one" || at - state.at < LONG_PRESS_MS) return [];
    this.#state = { is: "over" };
    return [rightClick(state)];
  }

  /** The system has taken fingers away: nothing was meant, nor is by those that are left. */
  cancel(left = 0): Act[] {
    const state = this.#state;
    this.#state = { is: left > 0 ? "over" : "none" };
    return state.is === "drag" ? [{ do: "release", x: state.x, y: state.y }] : [];
  }

  #lifted(at: number): Act[] {
    const state = this.#state;
    this.#state = { is: "none" };
    if (state.is === "drag") return [{ do: "release", x: state.x, y: state.y }];
    if (state.is === "two" && at - state.at <= TAP_MS) return [rightClick(state.from)];
    if (state.is !== "one") return [];
    const before = this.#tap;
    const again =
      before !== null &&
      at - before.at < DOUBLE_MS &&
      Math.hypot(state.x - before.x, state.y - before.y) < DOUBLE_NEAR;
    const { x, y } = again ? before : state;
    this.#tap = again ? null : { at, x, y };
    return [{ do: "click", x, y, button: 0 }];
  }
}

function between(one: Finger, other: Finger): Two {
  return {
    x: (one.x + other.x) / 2,
    y: (one.y + other.y) / 2,
    apart: Math.max(1, Math.hypot(one.x - other.x, one.y - other.y)),
  };
}

const rightClick = ({ x, y }: { x: number; y: number }): Act => ({ do: "click", x, y, button: 2 });
