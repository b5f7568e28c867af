/** The layout of this person's keyboard, as far as the browser tells. */

import { layoutOf } from "../viewer/layouts.ts";

/** The Keyboard Map API, where there is one (Chromium, over HTTPS or on this machine). */
interface KeyboardMap {
  getLayoutMap(): Promise<ReadonlyMap<string, string>>;
}

class Keyboard {
  layout = $state(layoutOf(null, navigator.languages));

  constructor() {
    const keys = (navigator as Navigator & { keyboard?: KeyboardMap }).keyboard;
    keys?.getLayoutMap?.().then(
      (writes) => (this.layout = layoutOf(writes, navigator.languages)),
      () => undefined, // a frame that may not ask
    );
  }
}

export const keyboard = new Keyboard();
