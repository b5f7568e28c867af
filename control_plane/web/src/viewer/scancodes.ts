/** Keys as RDP numbers them: the scancodes of a PC's keyboard, set 1. Pure. */

/** What the keys of a run of scancodes are called in `KeyboardEvent.code`. */
const RUNS: readonly (readonly [first: number, codes: string])[] = [
  [0x01, "Escape Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal"],
  [0x0e, "Backspace Tab KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight"],
  [0x1c, "Enter ControlLeft KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote Backquote"],
  [0x2a, "ShiftLeft Backslash KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash ShiftRight"],
  [0x37, "NumpadMultiply AltLeft Space CapsLock F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 NumLock ScrollLock"],
  [0x47, "Numpad7 Numpad8 Numpad9 NumpadSubtract Numpad4 Numpad5 Numpad6 NumpadAdd"],
  [0x4f, "Numpad1 Numpad2 Numpad3 Numpad0 NumpadDecimal"],
  [0x56, "IntlBackslash F11 F12"],
  [0x70, "KanaMode"],
  [0x73, "IntlRo"],
  [0x79, "Convert"],
  [0x7b, "NonConvert"],
  [0x7d, "IntlYen"],
  [0xe01c, "NumpadEnter ControlRight"],
  [0xe035, "NumpadDivide"],
  [0xe037, "PrintScreen AltRight"],
  [0xe047, "Home ArrowUp PageUp"],
  [0xe04b, "ArrowLeft"],
  [0xe04d, "ArrowRight"],
  [0xe04f, "End ArrowDown PageDown Insert Delete"],
  [0xe05b, "MetaLeft MetaRight ContextMenu"],
];

/** The scancode of each key; 0xE0.. are the extended ones. */
export const SCANCODES: ReadonlyMap<string, number> = new Map(
  RUNS.flatMap(([first, codes]) =>
    codes.split(" ").map((code, index): [string, number] => [code, first + index]),
  ),
);

const UNICODE = 0x01000000;

/** The character that an X11 keysym writes; null if it writes none. */
export function characterOf(keysym: number): string | null {
  const latin = (keysym >= 0x20 && keysym <= 0x7e) || (keysym >= 0xa0 && keysym <= 0xff);
  if (latin) return String.fromCodePoint(keysym);
  return keysym > UNICODE && keysym <= UNICODE + 0x10ffff
    ? String.fromCodePoint(keysym - UNICODE)
    : null;
}
