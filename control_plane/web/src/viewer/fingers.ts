/** Fingers on the picture, handed on as a mouse; what they do to the picture itself is told. */

import { Gestures, LONG_PRESS_MS, type Act } from "./gestures.ts";

/** A mouse on a desktop; places are those of pointer events (`clientX`, `clientY`). */
export interface Hand {
  move(x: number, y: number): void;
  /** @param button as in `MouseEvent.button`. */
  press(x: number, y: number, button: number): void;
  release(x: number, y: number, button: number): void;
  /** Turn the wheel by so many points: down and to the right if they are positive. */
  turn(x: number, y: number, dx: number, dy: number): void;
}

interface Fingers {
  /** The desktop's mouse; null while nobody may use it. */
  hand(): Hand | null;
  /** Whether there is more of the picture than is seen: two fingers move it then. */
  near(): boolean;
  /** Somebody points with a finger: keys are meant for the desktop from now on. */
  pointed(): void;
  /** Two fingers have moved the picture, or made it larger. */
  pinched(act: { x: number; y: number; dx: number; dy: number; ratio: number }): void;
}

/** Listen to fingers on an element. Returns how to stop. */
export function follow(area: HTMLElement, fingers: Fingers): () => void {
  const gestures = new Gestures();
  const listening = new AbortController();
  const options = { signal: listening.signal, passive: false, capture: true };
  let waiting: ReturnType<typeof setTimeout> | undefined;

  function touched(event: TouchEvent): void {
    // The viewer's own idea of fingers would do everything a second time.
    event.preventDefault();
    event.stopPropagation();
    // A finger that rests beside the picture, on the bar, is none of ours.
    const now = [...event.touches]
      .filter((one) => area.contains(one.target as Node))
      .map((one) => ({ id: one.identifier, x: one.clientX, y: one.clientY }));
    // A picture that goes takes the fingers' ends with it: what they were at is over by now.
    const first = event.type === "touchstart" && now.length === event.changedTouches.length;
    if (first) gestures.cancel().forEach(carryOut);
    const cancelled = event.type === "touchcancel";
    const acts = cancelled ? gestures.cancel(now.length) : gestures.take(now, Date.now());
    acts.forEach(carryOut);
    if (event.type === "touchmove") return;
    clearTimeout(waiting);
    waiting = setTimeout(() => gestures.wait(Date.now()).forEach(carryOut), LONG_PRESS_MS + 5);
  }

  function carryOut(act: Act): void {
    if (act.do === "pinch" || (act.do === "scroll" && fingers.near())) {
      fingers.pinched({ ratio: 1, ...act });
      return;
    }
    const hand = fingers.hand();
    if (!hand) return;
    const { x, y } = act;
    switch (act.do) {
      case "click":
        fingers.pointed();
        hand.move(x, y);
        hand.press(x, y, act.button);
        hand.release(x, y, act.button);
        break;
      case "press":
        fingers.pointed();
        hand.move(x, y);
        hand.press(x, y, 0);
        break;
      case "move":
        hand.move(x, y);
        break;
      case "release":
        hand.release(x, y, 0);
        break;
      case "scroll":
        // The page goes with the fingers, so the wheel turns against them.
        hand.turn(x, y, -act.dx, -act.dy);
        break;
    }
  }

  for (const name of ["touchstart", "touchmove", "touchend", "touchcancel"] as const) {
    area.addEventListener(name, touched, options);
  }
  return () => {
    listening.abort();
    clearTimeout(waiting);
  };
}
