/** A list that is read from the API, with what it looks like while it is not there. */

import { asProblem, type Problem } from "../api/problem.ts";
import { account } from "./account.svelte.ts";
import { live, type Kind } from "./live.svelte.ts";

export class Listing<T> {
  /** undefined until it was read for the first time. */
  items = $state.raw<T[] | undefined>(undefined);
  problem = $state.raw<Problem | null>(null);
  #reading: Promise<void> | null = null;
  #again = false;

  constructor(private readonly read: () => Promise<T[]>) {}

  /** Read it again. What was there stays until the answer is here; many calls while it is on
   * its way become one more. */
  load(): Promise<void> {
    if (this.#reading) {
      this.#again = true;
      return this.#reading;
    }
    this.#reading = this.#run().finally(() => (this.#reading = null));
    return this.#reading;
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      try {
        this.items = await this.read();
        this.problem = null;
      } catch (thrown) {
        const problem = asProblem(thrown);
        if (problem.status === 401) account.expired();
        this.problem = problem;
      }
    } while (this.#again);
  }

  /**
   * Read it now, whenever the live list tells of one of these kinds, and every so often while
   * the page is looked at. For an `$effect`; returns how to stop.
   */
  keep(kinds: readonly Kind[], everyMs: number): () => void {
    void this.load();
    const unsubscribe = live.on(kinds, () => void this.load());
    const look = () => {
      if (document.visibilityState === "visible") void this.load();
    };
    const timer = setInterval(look, everyMs);
    document.addEventListener("visibilitychange", look);
    return () => {
      unsubscribe();
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }
}
