import { describe, expect, it } from "vitest";

import { Gestures, LONG_PRESS_MS, type Act, type Finger } from "../src/viewer/gestures.ts";

const finger = (id: number, x: number, y: number): Finger => ({ id, x, y });

/** Where the fingers are, moment by moment: [ms, ...fingers]. */
function told(...moments: [number, ...Finger[]][]): Act[] {
  const gestures = new Gestures();
  return moments.flatMap(([at, ...fingers]) => gestures.take(fingers, at));
}

describe("one finger", () => {
  it("clicks where it came down", () => {
    expect(told([0, finger(1, 50, 60)], [80, finger(1, 53, 62)], [120])).toEqual([
      { do: "click", x: 50, y: 60, button: 0 },
    ]);
  });
  it("clicks twice in one place", () => {
    const acts = told([0, finger(1, 50, 60)], [60], [200, finger(1, 58, 66)], [260]);
    expect(acts).toEqual(Array(2).fill({ do: "click", x: 50, y: 60, button: 0 }));
  });
  it("clicks elsewhere a moment later", () => {
    const acts = told([0, finger(1, 50, 60)], [60], [200, finger(1, 150, 66)], [260]);
    expect(acts[1]).toMatchObject({ x: 150, y: 66 });
  });
  it("presses the right button when it stays, and nothing more", () => {
    const gestures = new Gestures();
    gestures.take([finger(1, 50, 60)], 0);
    expect(gestures.wait(LONG_PRESS_MS - 1)).toEqual([]);
    expect(gestures.wait(LONG_PRESS_MS)).toEqual([{ do: "click", x: 50, y: 60, button: 2 }]);
    expect(gestures.wait(LONG_PRESS_MS * 2)).toEqual([]);
    expect(gestures.take([finger(1, 90, 90)], 900)).toEqual([]);
    expect(gestures.take([], 950)).toEqual([]);
  });
  it("drags from where it came down", () => {
    const acts = told([0, finger(1, 50, 60)], [50, finger(1, 70, 60)], [90, finger(1, 90, 61)], [99]);
    expect(acts).toEqual([
      { do: "press", x: 50, y: 60 },
      { do: "move", x: 70, y: 60 },
      { do: "move", x: 90, y: 61 },
      { do: "release", x: 90, y: 61 },
    ]);
  });
  it("lets go when another comes, or when it is taken away", () => {
    const gestures = new Gestures();
    gestures.take([finger(1, 0, 0)], 0);
    gestures.take([finger(1, 40, 0)], 10);
    const other = gestures.take([finger(1, 40, 0), finger(2, 90, 0)], 20);
    expect(other).toEqual([{ do: "release", x: 40, y: 0 }]);
    gestures.take([], 30);
    gestures.take([finger(1, 0, 0)], 100);
    gestures.take([finger(1, 40, 0)], 110);
    expect(gestures.cancel()).toEqual([{ do: "release", x: 40, y: 0 }]);
    expect(gestures.cancel()).toEqual([]);
  });
  it("means nothing any more when another was taken away by the system", () => {
    const gestures = new Gestures();
    gestures.take([finger(1, 0, 0), finger(2, 90, 0)], 0);
    expect(gestures.cancel(1)).toEqual([]);
    expect(gestures.take([finger(1, 60, 0)], 20)).toEqual([]);
    expect(gestures.take([], 30)).toEqual([]);
    gestures.take([finger(1, 5, 5)], 100);
    expect(gestures.take([], 150)).toEqual([{ do: "click", x: 5, y: 5, button: 0 }]);
  });
});

describe("two fingers", () => {
  const two = (x: number, y: number, apart: number): [Finger, Finger] => [
    finger(1, x - apart / 2, y),
    finger(2, x + apart / 2, y),
  ];

  it("press the right button", () => {
    const acts = told([0, finger(1, 80, 100)], [30, ...two(100, 100, 40)], [120, finger(2, 120, 100)], [150]);
    expect(acts).toEqual([{ do: "click", x: 100, y: 100, button: 2 }]);
  });
  it("scroll by as much as they move", () => {
    const acts = told([0, ...two(100, 100, 80)], [20, ...two(100, 80, 80)], [40, ...two(103, 40, 84)], [60]);
    expect(acts.map((act) => act.do)).toEqual(["scroll", "scroll"]);
    expect(acts.reduce((sum, act) => sum + ("dy" in act ? act.dy : 0), 0)).toBe(-60);
  });
  it("scroll what they came down on, though they leave it", () => {
    const acts = told([0, ...two(100, 100, 80)], [20, ...two(100, 240, 80)], [40, ...two(100, 400, 80)], [60]);
    expect(acts).toEqual([
      { do: "scroll", x: 100, y: 100, dx: 0, dy: 140 },
      { do: "scroll", x: 100, y: 100, dx: 0, dy: 160 },
    ]);
  });
  it("pinch by as much as they spread", () => {
    const acts = told([0, ...two(100, 100, 50)], [20, ...two(100, 100, 100)], [40, ...two(110, 100, 150)], [60]);
    expect(acts.map((act) => act.do)).toEqual(["pinch", "pinch"]);
    expect(acts.reduce((all, act) => all * ("ratio" in act ? act.ratio : 1), 1)).toBeCloseTo(3);
    expect(acts[1]).toMatchObject({ x: 110, dx: 10 });
  });
  it("mean nothing any more when one is lifted", () => {
    const acts = told(
      [0, ...two(100, 100, 80)],
      [20, ...two(100, 80, 80)],
      [40, finger(1, 60, 80)],
      [60, finger(1, 10, 10)],
      [80],
    );
    expect(acts.map((act) => act.do)).toEqual(["scroll"]);
  });
});
