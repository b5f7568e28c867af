/** Full screen, with the keys that the system otherwise keeps (Alt+Tab, Super, Esc). */

/** The Keyboard Lock API, where there is one (Chromium). */
interface KeyboardLock {
  lock(): Promise<void>;
  unlock(): void;
}

const keyboard = (): KeyboardLock | undefined =>
  (navigator as Navigator & { keyboard?: KeyboardLock }).keyboard;

export class FullScreen {
  on = $state(false);
  readonly possible = document.fullscreenEnabled;

  constructor(private readonly area: () => HTMLElement) {}

  async toggle(): Promise<void> {
    if (document.fullscreenElement) {
      await document.exitFullscreen();
      return;
    }
    await this.area().requestFullscreen({ navigationUI: "hide" });
    await keyboard()
      ?.lock()
      .catch(() => undefined);
  }

  /** Notice when it changes, by whatever way. Returns how to stop. */
  follow(changed: () => void): () => void {
    const look = () => {
      this.on = document.fullscreenElement === this.area();
      if (!this.on) keyboard()?.unlock();
      changed();
    };
    document.addEventListener("fullscreenchange", look);
    return () => {
      document.removeEventListener("fullscreenchange", look);
      keyboard()?.unlock();
    };
  }
}
