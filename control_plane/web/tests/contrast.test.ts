/** Text must be readable in both themes: WCAG AA, 4.5 to 1, 3 to 1 for the edges of controls. */

import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

const css = readFileSync(new URL("../src/styles/tokens.css", import.meta.url), "utf8");

function colour(name: string, theme: 0 | 1): string {
  const pair = new RegExp(`--${name}: light-dark\\((#[0-9a-f]{6}), (#[0-9a-f]{6})\\)`).exec(css);
  const one = new RegExp(`--${name}: (#[0-9a-f]{6})`).exec(css);
  const found = pair ? pair[theme + 1] : one?.[1];
  if (!found) throw new Error(`tokens.css has no --${name}.`);
  return found;
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: string, other: string): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

const GROUNDS = ["ground", "surface", "raised", "sunken", "hover"];
const ON_ALL = ["ink", "ink-soft", "ink-faint", "accent", "bad"];
const PAIRS: [string, string, number][] = [
  ...ON_ALL.flatMap((text) => GROUNDS.map((on): [string, string, number] => [text, on, 4.5])),
  ["on-accent", "accent", 4.5],
  ["on-accent", "accent-strong", 4.5],
  ["on-bad", "bad-solid", 4.5],
  ["accent-strong", "accent-soft", 4.5],
  ["good", "good-soft", 4.5],
  ["good", "surface", 4.5],
  ["warn", "warn-soft", 4.5],
  ["warn", "surface", 4.5],
  ["warn", "ground", 4.5],
  ["bad", "bad-soft", 4.5],
  ["rest", "rest-soft", 4.5],
  ["stage-ink", "stage", 4.5],
  ["stage-ink-soft", "stage", 4.5],
  ["stage-ink-soft", "stage-raised", 4.5],
  ["line-strong", "surface", 3],
];

describe.each([
  ["light", 0],
  ["dark", 1],
] as const)("%s", (_name, theme) => {
  it.each(PAIRS)("%s on %s", (text, on, least) => {
    expect(contrast(colour(text, theme), colour(on, theme))).toBeGreaterThanOrEqual(least);
  });
});
