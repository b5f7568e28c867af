/** Keys, pointer and wheel of a canvas, as RDP wants them. */

import { Backend } from "@devolutions/iron-remote-desktop-rdp";

import type { Hand } from "./fingers.ts";
import { characterOf, SCANCODES } from "./scancodes.ts";
import type { Key } from "./viewer.ts";

const { DeviceEvent, InputTransaction } = Backend;
type Device = ReturnType<typeof DeviceEvent.keyPressed>;

/** What takes the input: an IronRDP session. */
export interface Taker {
  applyInputs(transaction: InstanceType<typeof InputTransaction>): void;
  releaseAllInputs(): void;
  synchronizeLockKeys(scroll: boolean, num: boolean, caps: boolean, kana: boolean): void;
}

/** Send what happened, in order. */
export function send(taker: Taker, ...events: Device[]): void {
  const transaction = new InputTransaction();
  for (const event of events) transaction.addEvent(event);
  taker.applyInputs(transaction);
}

/**
 * Press the keys in order and let them go in reverse.
 *
 * A character without a key goes as text, which the gate has written under any layout.
 */
export function press(taker: Taker, chord: readonly Key[]): void {
  const up: Device[] = [];
  for (const key of chord) {
    const scancode = SCANCODES.get(key.code);
    const character = characterOf(key.keysym);
    if (scancode !== undefined) {
      send(taker, DeviceEvent.keyPressed(scancode));
      up.push(DeviceEvent.keyReleased(scancode));
    } else if (character !== null) {
      send(taker, DeviceEvent.unicodePressed(character));
      up.push(DeviceEvent.unicodeReleased(character));
    }
  }
  if (up.length > 0) send(taker, ...up.reverse());
}

/**
 * Pass on what is done on a canvas for as long as `signal` is not aborted.
 *
 * @param taker the session, once there is one.
 * @param focus has the keys come here.
 */
export function follow(
  canvas: HTMLCanvasElement,
  taker: () => Taker | null,
  focus: () => void,
  signal: AbortSignal,
): void {
  const on = <K extends keyof HTMLElementEventMap>(
    name: K,
    act: (to: Taker, event: HTMLElementEventMap[K]) => void,
  ) => {
    canvas.addEventListener(
      name,
      (event) => {
        const to = taker();
        if (to) act(to, event);
      },
      { signal, passive: false },
    );
  };

  let locks = "";
  function key(to: Taker, event: KeyboardEvent): void {
    const scancode = SCANCODES.get(event.code);
    // Compositions are told by the text that they make, not by their keys.
    if (event.isComposing) return;
    event.preventDefault();
    if (scancode === undefined) return;
    const held = (name: string) => event.getModifierState(name);
    const state = [held("ScrollLock"), held("NumLock"), held("CapsLock"), held("KanaMode")] as const;
    if (event.code.endsWith("Lock")) locks = "";
    else if (locks !== String(state)) {
      locks = String(state);
      to.synchronizeLockKeys(...state);
    }
    const make = event.type === "keydown" ? DeviceEvent.keyPressed : DeviceEvent.keyReleased;
    send(to, make(scancode));
  }
  on("keydown", key);
  on("keyup", key);

  // Fingers come by `handOf`.
  on("pointermove", (to, event) => {
    if (event.pointerType !== "touch") send(to, moved(canvas, event.clientX, event.clientY));
  });
  on("pointerdown", (_, event) => {
    if (event.pointerType !== "touch") canvas.setPointerCapture(event.pointerId);
  });
  on("mousedown", (to, event) => {
    event.preventDefault();
    focus();
    send(to, moved(canvas, event.clientX, event.clientY), DeviceEvent.mouseButtonPressed(event.button));
  });
  on("mouseup", (to, event) => {
    event.preventDefault();
    send(to, moved(canvas, event.clientX, event.clientY), DeviceEvent.mouseButtonReleased(event.button));
  });
  on("contextmenu", (_, event) => event.preventDefault());
  on("wheel", (to, event) => {
    event.preventDefault();
    const vertical = event.deltaY !== 0;
    const turned = -(vertical ? event.deltaY : event.deltaX);
    if (turned !== 0) send(to, DeviceEvent.wheelRotations(vertical, turned, event.deltaMode));
  });
  on("blur", (to) => to.releaseAllInputs());
}

/** The mouse of a session's canvas, for who has fingers. */
export function handOf(canvas: HTMLCanvasElement, taker: () => Taker | null): Hand {
  function say(x: number, y: number, ...events: Device[]): void {
    const to = taker();
    if (to) send(to, moved(canvas, x, y), ...events);
  }
  return {
    move: (x, y) => say(x, y),
    press: (x, y, button) => say(x, y, DeviceEvent.mouseButtonPressed(button)),
    release: (x, y, button) => say(x, y, DeviceEvent.mouseButtonReleased(button)),
    turn(x, y, dx, dy) {
      const vertical = Math.abs(dy) >= Math.abs(dx);
      const turned = -(vertical ? dy : dx);
      if (turned !== 0) say(x, y, DeviceEvent.wheelRotations(vertical, turned, 0));
    },
  };
}

/** The pointer at a place of the page, in the screen's pixels. */
function moved(canvas: HTMLCanvasElement, x: number, y: number): Device {
  const box = canvas.getBoundingClientRect();
  const at = (value: number, length: number, pixels: number) =>
    Math.min(Math.max(Math.floor((value / length) * pixels), 0), pixels - 1);
  return DeviceEvent.mouseMove(
    at(x - box.left, box.width, canvas.width),
    at(y - box.top, box.height, canvas.height),
  );
}
