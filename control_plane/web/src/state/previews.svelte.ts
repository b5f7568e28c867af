/** Small pictures of desktops, for their rows in the list: of running ones as they are now, of
 * others as they were when they were left. They stay in this page's memory: what a desktop showed
 * is nobody else's business. */

import { SvelteMap } from "svelte/reactivity";
import { BASE } from "../api/base.ts";

const WIDTH = 192;
const HEIGHT = 120;
/** Milliseconds between two pictures of a row: the way to a desktop is kept open for longer. */
const AGAIN = 10_000;

class Previews {
  readonly #pictures = new SvelteMap<string, string>();

  of(session: string): string | undefined {
    return this.#pictures.get(session);
  }

  /** Keep a picture of a session, cut to the shape of its row. */
  keep(session: string, screen: HTMLCanvasElement | ImageBitmap): void {
    const small = document.createElement("canvas");
    small.width = WIDTH;
    small.height = HEIGHT;
    const scale = Math.max(WIDTH / screen.width, HEIGHT / screen.height);
    const pen = small.getContext("2d");
    if (!pen || !Number.isFinite(scale)) return;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(screen, 0, 0, screen.width * scale, screen.height * scale);
    this.#pictures.set(session, small.toDataURL("image/webp", 0.8));
  }

  /** Keep a row's picture up to date for as long as it is on the screen of somebody who looks;
   * returns what ends that. */
  follow(session: string, row: Element): () => void {
    let seen = false;
    const look = () => {
      if (seen && !document.hidden) void this.#take(session);
    };
    const watch = new IntersectionObserver((entries) => {
      const before = seen;
      seen = entries.some((entry) => entry.isIntersecting);
      if (seen && !before) look();
    });
    watch.observe(row);
    const timer = setInterval(look, AGAIN);
    return () => {
      clearInterval(timer);
      watch.disconnect();
    };
  }

  async #take(session: string): Promise<void> {
    const address = `${BASE}/api/v1/sessions/${session}/screenshot?width=${WIDTH}`;
    try {
      const answer = await fetch(address);
      if (!answer.ok || answer.headers.get("Content-Type") !== "image/png") return;
      const screen = await createImageBitmap(await answer.blob());
      this.keep(session, screen);
      screen.close();
    } catch {
      // A row without a picture says as much.
    }
  }

  forget(session: string): void {
    this.#pictures.delete(session);
  }

  clear(): void {
    this.#pictures.clear();
  }
}

export const previews = new Previews();
