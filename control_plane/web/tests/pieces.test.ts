import { describe, expect, it } from "vitest";

import { Pieces } from "../src/viewer/pieces.ts";

/** A tone of 440 Hz, one second of it. */
const tone = (rate: number) =>
  Float32Array.from({ length: rate }, (_, at) => 0.5 * Math.sin((2 * Math.PI * 440 * at) / rate));

/** How often it goes from below zero to above. */
const rises = (samples: Int16Array[]) => {
  const all = samples.flatMap((piece) => [...piece]);
  return all.filter((sample, at) => at > 0 && all[at - 1]! < 0 && sample >= 0).length;
};

describe("pieces of what a microphone hears", () => {
  it.each([16_000, 44_100, 48_000, 96_000])("last 20 ms each, from %i a second", (rate) => {
    const whole = new Pieces(rate, 16_000).take(tone(rate));
    expect(whole.map((piece) => piece.length)).toEqual(Array(50).fill(320));
    expect(Math.abs(rises(whole) - 440)).toBeLessThanOrEqual(2);
  });
  it("are the same however the samples come", () => {
    const samples = tone(48_000);
    const pieces = new Pieces(48_000, 16_000);
    const parts = Array.from({ length: 375 }, (_, at) => samples.slice(at * 128, at * 128 + 128));
    expect(parts.flatMap((part) => pieces.take(part))).toEqual(
      new Pieces(48_000, 16_000).take(samples),
    );
  });
  it("are cut off where they are too loud", () => {
    const [piece] = new Pieces(16_000, 16_000).take(Array(320).fill(3));
    expect(piece?.every((sample) => sample === 0x7fff)).toBe(true);
  });
});
