/** The time, for texts that grow old. It ticks only while somebody looks at it. */

import { createSubscriber } from "svelte/reactivity";

class Clock {
  readonly #subscribe: () => void;

  constructor(everyMs: number) {
    this.#subscribe = createSubscriber((update) => {
      const timer = setInterval(update, everyMs);
      return () => clearInterval(timer);
    });
  }

  /** Milliseconds since 1970; reading it in an effect or a template runs that again later. */
  get now(): number {
    this.#subscribe();
    return Date.now();
  }
}

/** For "3 minutes ago". */
export const slow = new Clock(10_000);
/** For seconds that are watched. */
export const fast = new Clock(500);
