/** Keys, pointer and wheel of a canvas, as RDP wants them. */

import { Backend } from "@devolutions/iron-remote-desktop-rdp";

import { characterOf, SCANCODES, strokeOf } from "./scancodes.ts";
import type { Key } from "./viewer.ts";

const { DeviceEvent, InputTransaction } = Backend;
type Device = ReturnType<typeof DeviceEvent.keyPressed>;

/** What takes the input: an IronRDP session. */
export interface Taker {
  applyInputs(transaction: InstanceType<typeof InputTransaction>): void;
  releaseAllInputs(): void;
  synchronizeLockKeys(scroll: boolean, num: boolean, caps: boolean, kana: boolean): void;
}

const SHIFT = 0x2a;

/** Send what happened, in order. */
export function send(taker: Taker, ...events: Device[]): void {
  const transaction = new InputTransaction();
  for (const event of events) transaction.addEvent(event);
  taker.applyInputs(transaction);
}

/** Press the keys in order and let them go in reverse. */
export function press(taker: Taker, chord: readonly Key[]): void {
  const up: Device[] = [];
  for (const key of chord) {
    const known = SCANCODES.get(key.code);
    const character = characterOf(key.keysym);
    const stroke = known === undefined && character !== null ? strokeOf(character) : null;
    const down: Device[] = [];
    if (stroke?.shift) {
      down.push(DeviceEvent.keyPressed(SHIFT));
      up.push(DeviceEvent.keyReleased(SHIFT));
    }
    const scancode = known ?? stroke?.scancode;
    if (scancode !== undefined) {
      down.push(DeviceEvent.keyPressed(scancode));
      up.push(DeviceEvent.keyReleased(scancode));
    } else if (character !== null) {
      down.push(DeviceEvent.unicodePressed(character));
      up.push(DeviceEvent.unicodeReleased(character));
    }
    if (down.length > 0) send(taker, ...down);
  }
  if (up.length > 0) send(taker, ...up.reverse());
}

/**
 * Pass on what is done on a canvas for as long as `signal` is not aborted.
 *
 * @param taker the session, once there is one.
 */
export function follow(
  canvas: HTMLCanvasElement,
  taker: () => Taker | null,
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

  function moved(event: MouseEvent): Device {
    const box = canvas.getBoundingClientRect();
    const at = (value: number, length: number, pixels: number) =>
      Math.min(Math.max(Math.floor((value / length) * pixels), 0), pixels - 1);
    return DeviceEvent.mouseMove(
      at(event.clientX - box.left, box.width, canvas.width),
      at(event.clientY - box.top, box.height, canvas.height),
    );
  }
  on("pointermove", (to, event) => send(to, moved(event)));
  // A mouse's second button makes no second `pointerdown`; a finger makes no `mousedown` in time.
  const isMouse = (event: PointerEvent) => event.pointerType === "mouse";
  on("pointerdown", (to, event) => {
    canvas.setPointerCapture(event.pointerId);
    if (isMouse(event)) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    send(to, moved(event), DeviceEvent.mouseButtonPressed(0));
  });
  on("pointerup", (to, event) => {
    if (!isMouse(event)) send(to, moved(event), DeviceEvent.mouseButtonReleased(0));
  });
  on("mousedown", (to, event) => {
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    send(to, moved(event), DeviceEvent.mouseButtonPressed(event.button));
  });
  on("mouseup", (to, event) => {
    event.preventDefault();
    send(to, moved(event), DeviceEvent.mouseButtonReleased(event.button));
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
