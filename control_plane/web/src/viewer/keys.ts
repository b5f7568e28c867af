/** Keys and chords that a browser keeps for itself, to be sent from a menu. */

import type { Key } from "./viewer.ts";

const key = (keysym: number, code: string): Key => ({ keysym, code });

const CONTROL = key(0xffe3, "ControlLeft");
const ALT = key(0xffe9, "AltLeft");
const SHIFT = key(0xffe1, "ShiftLeft");
const SUPER = key(0xffeb, "MetaLeft");
const TAB = key(0xff09, "Tab");
const ESCAPE = key(0xff1b, "Escape");
const DELETE = key(0xffff, "Delete");
export const BACKSPACE = key(0xff08, "Backspace");
export const ENTER = key(0xff0d, "Enter");
/** The V of Ctrl+V. */
export const PASTE_KEY = key(0x76, "KeyV");

/** A key that does nothing by itself, and is use all the same. */
export const NOTHING: readonly Key[] = [SHIFT];

/** A line of the key menu. */
export interface Chord {
  name: string;
  keys: readonly Key[];
}

export const CHORDS: readonly Chord[] = [
  { name: "Ctrl + Alt + Del", keys: [CONTROL, ALT, DELETE] },
  { name: "Super", keys: [SUPER] },
  { name: "Alt + Tab", keys: [ALT, TAB] },
  { name: "Alt + F4", keys: [ALT, key(0xffc1, "F4")] },
  { name: "Ctrl + W", keys: [CONTROL, key(0x77, "KeyW")] },
  { name: "Ctrl + Shift + V", keys: [CONTROL, SHIFT, key(0x56, "KeyV")] },
  { name: "Tab", keys: [TAB] },
  { name: "Esc", keys: [ESCAPE] },
];

export const FUNCTION_KEYS: readonly Chord[] = Array.from({ length: 12 }, (_, index) => ({
  name: `F${index + 1}`,
  keys: [key(0xffbe + index, `F${index + 1}`)],
}));

/** Keys that a phone's keyboard does not have. */
export const ARROWS: readonly Chord[] = [
  { name: "←", keys: [key(0xff51, "ArrowLeft")] },
  { name: "↑", keys: [key(0xff52, "ArrowUp")] },
  { name: "↓", keys: [key(0xff54, "ArrowDown")] },
  { name: "→", keys: [key(0xff53, "ArrowRight")] },
];

/**
 * The key that writes one character, for keyboards that only tell text (phones, input
 * methods). X11 has Latin-1 as it is and the rest of Unicode at 0x01000000.
 *
 * @param character one code point.
 */
export function keyOf(character: string): Key {
  const point = character.codePointAt(0) ?? 0;
  if (point === 0x0a || point === 0x0d) return ENTER;
  if (point === 0x09) return TAB;
  const latin = (point >= 0x20 && point <= 0x7e) || (point >= 0xa0 && point <= 0xff);
  return key(latin ? point : 0x01000000 + point, "Unidentified");
}

/** What has to be typed to turn one text into another: characters taken off, then added. */
export function difference(before: string, after: string): { erased: number; added: string } {
  const old = [...before];
  const now = [...after];
  let same = 0;
  while (same < old.length && same < now.length && old[same] === now[same]) same += 1;
  return { erased: old.length - same, added: now.slice(same).join("") };
}
