/** The session as it is now, asked for again and again. */

import { asProblem, type Problem } from "../api/problem.ts";
import { look, redeem, type Shown } from "./calls.ts";

const EVERY_MS = 1_500;

export class Watch {
  shown = $state.raw<Shown | null>(null);
  /** What was said last is how it is. */
  live = $state(false);
  /** Why nothing is shown. */
  problem = $state.raw<Problem | null>(null);

  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  /** @param secret of the link, if the page was opened by it. */
  async start(secret: string): Promise<void> {
    try {
      if (secret) await redeem(secret);
    } catch (thrown) {
      this.refused(asProblem(thrown));
      return;
    }
    await this.again();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Nothing is asked any more: it would be refused again. */
  refused(problem: Problem): void {
    this.problem = problem;
    this.shown = null;
    this.stop();
  }

  /** Ask now, and from then on as often as ever. */
  async again(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      const shown = await look();
      if (this.#stopped) return;
      this.shown = shown;
      this.live = true;
      this.problem = null;
    } catch (thrown) {
      if (this.#stopped) return;
      const problem = asProblem(thrown);
      this.live = false;
      if (problem.status === 401) {
        this.refused(problem);
        return;
      }
      this.problem = problem;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.again(), EVERY_MS);
  }
}
