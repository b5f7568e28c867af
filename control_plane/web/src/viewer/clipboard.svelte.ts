/**
 * The desktop's clipboard and this device's.
 *
 * What is copied in the desktop is written to the device's clipboard as soon as the browser
 * allows it. The other way has three forms, the best one that the browser lets us have:
 *
 * - `synced`: reading is permitted (Chromium, after the person agreed once); the device's
 *   clipboard is carried over whenever the desktop gets the focus.
 * - Ctrl+V in the desktop: the browser hands us what is pasted, without any permission; it
 *   goes over first, the key follows.
 * - the clipboard panel, by hand.
 *
 * Pictures go the first two ways where the desktop's programs can be asked for them; those that are
 * copied in the desktop are taken by hand, since nothing tells of them.
 */

import { asProblem } from "../api/problem.ts";
import { tooLarge, tooLong } from "../words/clipboard.ts";
import { PASTE_KEY } from "./keys.ts";
import type { Key } from "./viewer.ts";
import type { ClipboardRules, Pictures } from "./way.ts";

/** How long the browser may take from Ctrl+V to its `paste` event. */
const PASTE_MS = 80;

export interface Desktop {
  /** What may be carried over. */
  readonly rules: ClipboardRules;
  /** Pictures, where they can be carried over. */
  readonly pictures: Pictures | undefined;
  paste(text: string): void;
  press(keys: readonly Key[]): void;
}

export class ClipboardBridge {
  /** What the panel shows: the desktop's clipboard, until somebody writes into it. */
  text = $state("");
  /** Whether reading this device's clipboard is permitted, may be asked for, or neither. */
  reading = $state<PermissionState>("denied");

  /** Why the last text was not carried over; empty if it was. */
  trouble = $state("");
  /** Told when the person has pasted something that cannot be carried over. */
  onrefused: () => void = () => {};

  /** What was copied in the desktop and could not be written here yet. */
  #owed: string | null = null;
  /** What the desktop's clipboard holds, as far as we know. */
  #there: string | null = null;
  /** What this device's clipboard held when we last read or wrote it. */
  #here: string | null = null;
  /** Which picture is on the desktop's clipboard, by its digest, if it came from here. */
  #pictureThere = "";
  /** Rises with every text: what was read before that is old. */
  #turn = 0;
  #awaited: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly desktop: Desktop) {}

  get synced(): boolean {
    return this.reading === "granted";
  }

  /** Something was copied in the desktop. */
  fromDesktop(text: string): void {
    if (!this.desktop.rules.download) return;
    this.#turn += 1;
    this.#there = text;
    this.#pictureThere = "";
    this.trouble = tooLong(text, this.desktop.rules);
    if (this.trouble) return;
    this.text = text;
    this.#owed = text;
    void this.#pay();
  }

  /** The person sends a text: it is on both clipboards then, if they are in step. */
  send(text: string): void {
    if (!this.#toDesktop(text) || !this.synced) return;
    this.#owed = text;
    void this.#pay();
  }

  /** Return whether it may go there. */
  #toDesktop(text: string): boolean {
    if (!this.desktop.rules.upload) return false;
    this.trouble = tooLong(text, this.desktop.rules);
    if (this.trouble) return false;
    this.#turn += 1;
    this.text = text;
    this.#there = text;
    this.#pictureThere = "";
    this.#owed = null;
    this.desktop.paste(text);
    return true;
  }

  /** Ask the person for the permission to read; call it from a click. */
  async ask(): Promise<void> {
    await this.#read();
    this.reading = await permission();
  }

  /**
   * Keep the two in step. Returns how to stop.
   *
   * @param area the element around the desktop.
   * @param allowed whether the clipboard may be carried over at the moment.
   */
  follow(area: HTMLElement, allowed: () => boolean): () => void {
    void permission().then((state) => (this.reading = state));
    const stop = new AbortController();
    const { signal } = stop;
    const look = () => {
      if (!allowed() || !area.contains(document.activeElement)) return;
      void this.#pay().then(() => (this.synced ? this.#read() : undefined));
    };
    addEventListener("focus", look, { signal });
    area.addEventListener("focusin", look, { signal });
    area.addEventListener("pointerenter", look, { signal });
    area.addEventListener(
      "keydown",
      (event) => {
        const pastes = event.ctrlKey && !event.altKey && !event.metaKey && event.code === "KeyV";
        if (!pastes || this.synced || event.repeat || !allowed()) return;
        if (!(event.target instanceof HTMLCanvasElement)) return;
        // Nobody may see it, or the browser would not paste.
        event.stopImmediatePropagation();
        clearTimeout(this.#awaited);
        this.#awaited = setTimeout(() => this.#pressPaste(), PASTE_MS);
      },
      { signal, capture: true },
    );
    document.addEventListener(
      "paste",
      (event) => {
        if (this.#awaited === undefined) return;
        const text = event.clipboardData?.getData("text/plain") ?? "";
        const picture = text ? null : pictureOf(event.clipboardData?.items ?? []);
        if (picture && this.desktop.pictures && this.desktop.rules.upload) {
          clearTimeout(this.#awaited);
          this.#awaited = undefined;
          void this.#picture(picture).then((went) => (went ? this.#pressPaste() : this.onrefused()));
          return;
        }
        const goes = !text || text === this.#there || this.#toDesktop(text);
        if (!goes && this.trouble) {
          // Pasting what was there before would look as if it had gone over.
          clearTimeout(this.#awaited);
          this.#awaited = undefined;
          this.onrefused();
          return;
        }
        this.#pressPaste();
      },
      { signal },
    );
    return () => {
      stop.abort();
      clearTimeout(this.#awaited);
      this.#awaited = undefined;
    };
  }

  /** Take the picture that was copied in the desktop to this device; returns what to say of it. */
  async takePicture(): Promise<string> {
    const { pictures } = this.desktop;
    if (!pictures) return "";
    let none = false;
    // Asked for inside, so that the browser knows that a click was behind it.
    const asked = pictures.take().then((found) => {
      none = found === null;
      if (!found) throw new Error("none");
      return found;
    });
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": asked })]);
      return "The picture is on this device's clipboard.";
    } catch {
      if (none) return "No picture was copied in the desktop.";
      const failed = await asked.then(() => null, asProblem);
      return failed?.sentence ?? "This browser does not take the picture.";
    }
  }

  /** Have the desktop paste a picture; returns whether it is there. */
  async #picture(picture: Blob): Promise<boolean> {
    try {
      const png = await asPng(picture);
      this.trouble = tooLarge(png.size, this.desktop.rules);
      if (this.trouble) return false;
      const digest = await digestOf(png);
      if (digest !== this.#pictureThere) await this.desktop.pictures?.give(png);
      this.#pictureThere = digest;
      this.#there = null;
      return true;
    } catch (thrown) {
      this.trouble = asProblem(thrown).sentence;
      return false;
    }
  }

  async #readPicture(): Promise<void> {
    if (!this.desktop.pictures || !this.desktop.rules.upload) return;
    for (const item of await navigator.clipboard.read()) {
      if (item.types.includes("image/png")) await this.#picture(await item.getType("image/png"));
    }
  }

  #pressPaste(): void {
    clearTimeout(this.#awaited);
    this.#awaited = undefined;
    this.desktop.press([PASTE_KEY]);
  }

  /** Write what was copied in the desktop to this device. */
  async #pay(): Promise<void> {
    const owed = this.#owed;
    if (owed === null || !document.hasFocus()) return;
    try {
      await navigator.clipboard.writeText(owed);
      this.#here = owed;
      if (this.#owed === owed) this.#owed = null;
    } catch {
      // Not without a fresh click or key: it is tried again at the next focus.
    }
  }

  async #read(): Promise<void> {
    if (!document.hasFocus()) return;
    const turn = this.#turn;
    try {
      const text = await navigator.clipboard.readText();
      if (turn !== this.#turn) return;
      const isNew = text !== "" && text !== this.#here && text !== this.#there;
      this.#here = text;
      if (isNew) this.#toDesktop(text);
      if (text === "") await this.#readPicture();
    } catch {
      this.reading = await permission();
    }
  }
}

function pictureOf(items: Iterable<DataTransferItem>): File | null {
  for (const item of items) {
    if (item.kind === "file" && item.type.startsWith("image/")) return item.getAsFile();
  }
  return null;
}

async function asPng(picture: Blob): Promise<Blob> {
  if (picture.type === "image/png") return picture;
  const drawn = await createImageBitmap(picture);
  const canvas = document.createElement("canvas");
  canvas.width = drawn.width;
  canvas.height = drawn.height;
  canvas.getContext("2d")?.drawImage(drawn, 0, 0);
  drawn.close();
  return new Promise((resolve, reject) =>
    canvas.toBlob((png) => (png ? resolve(png) : reject(new Error("It is no picture.")))),
  );
}

async function digestOf(picture: Blob): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await picture.arrayBuffer());
  return [...new Uint8Array(digest)].join();
}

/** Browsers that do not know this permission ask at every read: we never read there. */
async function permission(): Promise<PermissionState> {
  // Over plain HTTP there is no clipboard, and yet a permission to be asked for.
  if (!navigator.clipboard) return "denied";
  try {
    const name = "clipboard-read" as PermissionName;
    return (await navigator.permissions.query({ name })).state;
  } catch {
    return "denied";
  }
}
