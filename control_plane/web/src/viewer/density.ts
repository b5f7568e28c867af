/** How many pixels of the desktop there are to a point of the page. Pure. */

import type { Size } from "./viewer.ts";

/** Browsers tell 1.8 as 1.7999999523: a pixel must not be lost for that. */
const ROUNDED = 0.01;

/**
 * The pixels per point to ask for: as many as the desktop's things are large, no more than this
 * screen has.
 *
 * A desktop of 200 % is sharp and of its usual size on a screen of two pixels a point; on one of
 * one pixel its things are large, for that is what was asked for. One of 100 % stays readable
 * on every screen.
 *
 * @param scale in percent of 96 dots per inch.
 * @param screen physical pixels per point (`devicePixelRatio`).
 */
export function density(scale: number, screen: number): number {
  return Math.max(1, Math.min(scale / 100, screen));
}

/** The desktop's size for a place of this size in points. */
export function pixels(room: Size, dense: number): Size {
  const whole = (length: number) => Math.floor(length * dense + ROUNDED);
  return { width: whole(room.width), height: whole(room.height) };
}

/** What is offered, in percent. */
export const SCALES = [100, 125, 150, 200] as const;

/**
 * The scale to begin with on a screen of so many pixels per point.
 *
 * @param usual what the template says; one that is not 100 was meant.
 */
export function proposed(screen: number, usual = 100): number {
  if (usual !== 100) return usual;
  return Math.max(100, ...SCALES.filter((one) => one <= Math.round(screen * 100)));
}
