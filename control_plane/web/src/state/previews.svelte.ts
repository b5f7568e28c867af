/** Small pictures of the desktops that were looked at, for their rows in the list. They stay in
 * this page's memory: what a desktop showed is nobody else's business. */

import { SvelteMap } from "svelte/reactivity";

const WIDTH = 192;
const HEIGHT = 120;

class Previews {
  readonly #pictures = new SvelteMap<string, string>();

  of(session: string): string | undefined {
    return this.#pictures.get(session);
  }

  /** Keep a picture of a session, cut to the shape of its row. */
  keep(session: string, screen: HTMLCanvasElement): void {
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

  forget(session: string): void {
    this.#pictures.delete(session);
  }

  clear(): void {
    this.#pictures.clear();
  }
}

export const previews = new Previews();
