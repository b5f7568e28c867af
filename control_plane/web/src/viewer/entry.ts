/**
 * Where keys are typed: an unseen text field over the picture.
 *
 * A canvas is told of keys and of nothing else. What a dead key, a compose key or an input
 * method makes of several keys goes to text fields only; so a field has the focus, hands every
 * key on to the canvas, and what comes out as text instead is written on the desktop.
 */

/** The keys that a browser reports while it makes text of them. */
const COMPOSED = new Set(["Dead", "Process", "Compose"]);
/** What old browsers say instead. */
const PROCESSED = 229;
/** Text that is in the field because it was pasted or dropped; the clipboard carries that. */
const BROUGHT = /^insertFrom(Paste|Drop|Yank)/;

/** By what the desktop is told of a key: what it writes, or where it is. */
export type KeysBy = "symbol" | "place";

export class Entry {
  readonly #field = document.createElement("textarea");
  /** A key was kept back of which the next one makes something. */
  #begun = false;

  /**
   * @param canvas takes the keys, as if it had the focus.
   * @param write takes text that no key says.
   * @param left is called when the focus goes elsewhere than to the canvas.
   * @param by how the canvas tells the desktop of keys.
   */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly write: (text: string) => void,
    left: () => void,
    private readonly by: KeysBy,
  ) {
    const field = this.#field;
    field.className = "entry";
    field.tabIndex = -1;
    field.rows = 1;
    field.autocapitalize = "off";
    field.autocomplete = "off";
    field.spellcheck = false;
    field.setAttribute("aria-label", canvas.getAttribute("aria-label") ?? "");
    field.setAttribute("aria-description", canvas.getAttribute("aria-description") ?? "");
    canvas.after(field);
    canvas.addEventListener("focus", () => this.focus());
    canvas.addEventListener("pointerdown", (event) => this.#moveTo(event));
    field.addEventListener("keydown", (event) => this.#key(event));
    field.addEventListener("keyup", (event) => this.#handOn(event));
    field.addEventListener("beforeinput", (event) => {
      if (BROUGHT.test(event.inputType)) event.preventDefault();
    });
    field.addEventListener("compositionstart", () => {
      this.#begun = false;
      field.classList.add("composing");
    });
    field.addEventListener("compositionend", (event) => this.#written(event.data));
    field.addEventListener("input", (event) => {
      const made = event as InputEvent;
      const composed = made.isComposing || /Composition/.test(made.inputType);
      if (!composed) this.#written(made.data ?? "");
    });
    const leaves = ({ relatedTarget: to }: FocusEvent) => {
      // A click has the focus go to the canvas and back; what is held for it stays held.
      if (to !== field && to !== canvas) left();
    };
    field.addEventListener("blur", leaves);
    canvas.addEventListener("blur", leaves);
  }

  /** Have the focus. */
  focus(): void {
    this.#field.focus({ preventScroll: true });
  }

  /** Take it away. */
  remove(): void {
    this.#field.remove();
  }

  /** Input methods show what they offer beside the field: it goes where the person works. */
  #moveTo(event: PointerEvent): void {
    const { offsetLeft, offsetTop, clientWidth, clientHeight } = this.canvas;
    const x = Math.min(event.offsetX, clientWidth - 40);
    const y = Math.min(event.offsetY, clientHeight - 24);
    this.#field.style.left = `${Math.max(0, offsetLeft + x)}px`;
    this.#field.style.top = `${Math.max(0, offsetTop + y)}px`;
  }

  #key(event: KeyboardEvent): void {
    if (event.isComposing) return;
    if (event.keyCode === PROCESSED || COMPOSED.has(event.key)) {
      this.#begun = true;
      return;
    }
    if (event.key === "Unidentified") return; // an on-screen keyboard: its text comes as input
    if (this.#made(event)) {
      event.preventDefault();
      this.write(event.key);
      return;
    }
    this.#handOn(event);
  }

  /** Whether a key writes what was made of it and of one before, which its place does not say. */
  #made(event: KeyboardEvent): boolean {
    const writes = [...event.key].length === 1;
    const made = this.#begun && writes && this.by === "place";
    if (writes) this.#begun = false;
    return made && !event.ctrlKey && !event.altKey && !event.metaKey;
  }

  #handOn(event: KeyboardEvent): void {
    if (!this.canvas.dispatchEvent(copy(event))) event.preventDefault();
  }

  #written(text: string): void {
    this.#field.classList.remove("composing");
    // The browser has not done with the field yet.
    queueMicrotask(() => (this.#field.value = ""));
    if (text) this.write(text);
  }
}

/** The same key, for another element. */
function copy(event: KeyboardEvent): KeyboardEvent {
  const on = (modifier: string) => event.getModifierState(modifier);
  return new KeyboardEvent(event.type, {
    key: event.key,
    code: event.code,
    location: event.location,
    repeat: event.repeat,
    ctrlKey: event.ctrlKey,
    altKey: event.altKey,
    shiftKey: event.shiftKey,
    metaKey: event.metaKey,
    modifierAltGraph: on("AltGraph"),
    modifierCapsLock: on("CapsLock"),
    modifierNumLock: on("NumLock"),
    bubbles: true,
    cancelable: true,
  });
}
