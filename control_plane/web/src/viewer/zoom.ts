/** A picture that is looked at from nearer: how large, and which part. Pure, in points. */

import type { Size } from "./viewer.ts";

/** `scale` times as large as its place, its corner at `x`, `y` from that of the place. */
export interface Zoom {
  scale: number;
  x: number;
  y: number;
}

export const WHOLE: Zoom = { scale: 1, x: 0, y: 0 };
const LARGEST = 6;
/** Nearly whole is whole. */
const NEARLY = 1.03;

/** Return the zoom after fingers around `at` have moved by `by` and spread by `ratio`. */
export function pinched(
  zoom: Zoom,
  at: { x: number; y: number },
  by: { dx: number; dy: number },
  ratio: number,
  place: Size,
): Zoom {
  const wanted = Math.min(Math.max(zoom.scale * ratio, 1), LARGEST);
  const scale = ratio < 1 && wanted < NEARLY ? 1 : wanted;
  const grown = scale / zoom.scale;
  // What was under the fingers stays there; the picture covers its place.
  const keep = (corner: number, finger: number, moved: number, length: number) =>
    Math.min(0, Math.max(length * (1 - scale), finger + moved - (finger - corner) * grown));
  return {
    scale,
    x: keep(zoom.x, at.x - by.dx, by.dx, place.width),
    y: keep(zoom.y, at.y - by.dy, by.dy, place.height),
  };
}
