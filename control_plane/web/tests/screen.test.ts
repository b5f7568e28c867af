import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Automatic } from "../src/viewer/automatic.ts";
import { density, pixels, proposed } from "../src/viewer/density.ts";
import { inWords, Meter } from "../src/viewer/meter.ts";
import { pace } from "../src/viewer/pace.ts";
import type { Quality } from "../src/viewer/viewer.ts";
import { pinched, WHOLE, type Zoom } from "../src/viewer/zoom.ts";

describe("pixels per point", () => {
  it.each([
    [100, 1, 1],
    [100, 2, 1],
    [200, 2, 2],
    [200, 1, 1],
    [150, 2, 1.5],
    [300, 2, 2],
    [50, 2, 1],
    [200, 0.5, 1],
  ])("a desktop of %s percent on a screen of %s: %s", (scale, screen, expected) => {
    expect(density(scale, screen)).toBe(expected);
  });
  it("are whole", () => {
    expect(pixels({ width: 1001, height: 333 }, 1.5)).toEqual({ width: 1501, height: 499 });
    // As browsers tell 1.8.
    expect(pixels({ width: 1000, height: 500 }, 1.7999999523162842).width).toBe(1800);
  });
  it.each([
    [1, 100],
    [1.1, 100],
    [1.25, 125],
    [1.75, 150],
    [2, 200],
    [3, 200],
    [0.8, 100],
  ])("a screen of %s begins with %s percent", (screen, expected) => {
    expect(proposed(screen)).toBe(expected);
    expect(proposed(screen, 175)).toBe(175);
  });
});

describe("the meter", () => {
  it("counts the last second", () => {
    const meter = new Meter();
    for (let at = 0; at < 3_000; at += 40) {
      meter.shown(at);
      meter.came(at, 1_000);
    }
    const { frames, bytes, busy } = meter.figures(3_000);
    expect([frames, bytes]).toEqual([24, 24_000]);
    expect(busy).toBeGreaterThan(0.9);
    expect(meter.figures(5_000)).toMatchObject({ frames: 0, bytes: 0, busy: 0 });
  });
  it("times what is done until it shows, in the middle of the last few", () => {
    const meter = new Meter();
    expect(meter.figures(0).reaction).toBeNull();
    for (const [at, took] of [[1_000, 30], [2_000, 20], [3_000, 700]] as const) {
      meter.acted(at);
      meter.shown(at + took);
      meter.shown(at + took + 5);
    }
    expect(meter.figures(4_000).reaction).toBe(30);
  });
  it("takes no picture for an answer that would have come anyway, or came too late", () => {
    const meter = new Meter();
    meter.shown(990);
    meter.acted(1_000);
    meter.shown(1_010);
    meter.acted(2_000);
    meter.shown(9_000);
    expect(meter.figures(9_000).reaction).toBeNull();
  });
  it("times the line, also while it owes an answer", () => {
    const meter = new Meter();
    expect(meter.asked(0)).toBe(true);
    meter.answered(12);
    expect(meter.figures(20).trip).toBe(12);
    expect(meter.asked(1_000)).toBe(true);
    expect(meter.asked(2_000)).toBe(false);
    expect(meter.figures(2_000).trip).toBe(1_000);
    meter.cut();
    expect(meter.figures(2_000).trip).toBeNull();
    expect(meter.asked(2_001)).toBe(true);
  });
  it("speaks", () => {
    const figures = { frames: 24, bytes: 150_000, busy: 1, reaction: 30.4, trip: 12.2 };
    expect(inWords(figures)).toBe("24 frames/s · 1.2 Mbit/s · line 12 ms · key to picture 30 ms");
    expect(inWords({ ...figures, bytes: 500, reaction: null, trip: null })).toBe(
      "24 frames/s · 4 kbit/s",
    );
  });
});

describe("the automatic quality", () => {
  /** Bytes of a picture in motion. */
  const SIZE: Record<Quality, number> = { light: 20_000, balanced: 60_000, sharp: 200_000 };

  /** A line of so many bytes a second, and a desktop that would send `wanted` pictures a second. */
  function second(quality: Quality, capacity: number, wanted: number, trips = true) {
    const frames = Math.min(wanted, capacity / SIZE[quality]);
    const full = wanted * SIZE[quality] >= capacity;
    const queue = full ? Math.min(1_500, (256_000 / capacity) * 1_000) : 0;
    return {
      frames: Math.round(frames),
      busy: full ? 1 : Math.min(1, frames / 20),
      trip: trips ? 40 + queue : null,
    };
  }
  function run(seconds: number, capacity: number, wanted: number, trips = true) {
    const automatic = new Automatic();
    automatic.take({ frames: 1, busy: 0.1, trip: trips ? 40 : null });
    const seen: Quality[] = [automatic.quality];
    for (let at = 0; at < seconds; at += 1) {
      seen.push(automatic.take(second(automatic.quality, capacity, wanted, trips)));
    }
    const steps = seen.filter((one, at) => at > 0 && one !== seen[at - 1]).length;
    return { last: seen.at(-1), steps, seen };
  }

  it("is sharp on a good line, and takes a while to become so", () => {
    const { seen, steps } = run(60, 50e6, 30);
    expect(seen.at(-1)).toBe("sharp");
    expect(steps).toBe(1);
    expect(seen.indexOf("sharp")).toBeGreaterThan(4);
  });
  it("is sharp while nothing moves, on any line", () => {
    expect(run(60, 100e3, 0).last).toBe("sharp");
  });
  it.each([true, false])("is light on a line that carries no more (answers: %s)", (trips) => {
    const { seen } = run(60, 150e3, 30, trips);
    expect(seen.indexOf("light")).toBeLessThan(5);
    expect(seen.at(-1)).toBe("light");
  });
  it.each([true, false])("does not run up and down at its limit (answers: %s)", (trips) => {
    const { seen, steps } = run(1_800, 1_300e3, 30, trips);
    expect(steps).toBeLessThan(40);
    const later = seen.slice(900).filter((one) => one === "balanced");
    expect(later.length).toBeGreaterThan(850);
  });
  it("is not put out by one bad second", () => {
    const automatic = new Automatic();
    expect(automatic.take({ frames: 2, busy: 1, trip: 900 })).toBe("balanced");
    expect(automatic.take({ frames: 30, busy: 0.5, trip: 40 })).toBe("balanced");
    expect(automatic.take({ frames: 2, busy: 1, trip: 900 })).toBe("balanced");
  });
  it("takes a long line for what it is", () => {
    const automatic = new Automatic();
    for (let at = 0; at < 30; at += 1) automatic.take({ frames: 20, busy: 0.5, trip: 600 });
    expect(automatic.quality).toBe("sharp");
  });
  it("takes another line for what that is", () => {
    const automatic = new Automatic();
    automatic.take({ frames: 20, busy: 0.5, trip: 5 });
    automatic.forget();
    for (let at = 0; at < 30; at += 1) automatic.take({ frames: 20, busy: 0.5, trip: 300 });
    expect(automatic.quality).toBe("sharp");
  });
});

describe("a pace", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const CONTINUOUS = Uint8Array.of(150, 1, 0, 0, 0, 0, 4, 0, 3, 0);
  const ASK = Uint8Array.of(3, 1, 0, 0, 0, 0, 4, 0, 3, 0);

  function line() {
    const sent: number[][] = [];
    const socket = { send: (data: ArrayBufferView) => void sent.push([...(data as Uint8Array)]) };
    const pacing = pace(socket, () => ({ width: 1024, height: 768 }));
    return { sent, socket, pacing };
  }

  it("changes nothing until there is one", () => {
    const { sent, socket } = line();
    for (const message of [CONTINUOUS, ASK]) socket.send(message);
    expect(sent).toEqual([[...CONTINUOUS], [...ASK]]);
  });
  it("asks for pictures itself, and lets the desktop go on as it likes again", () => {
    const { sent, socket, pacing } = line();
    socket.send(CONTINUOUS);
    sent.length = 0;
    pacing.limit(10);
    expect(sent).toEqual([[150, 0, 0, 0, 0, 0, 4, 0, 3, 0], [...ASK]]);
    sent.length = 0;
    socket.send(ASK);
    vi.advanceTimersByTime(1_000);
    expect(sent).toEqual(Array.from({ length: 10 }, () => [...ASK]));
    sent.length = 0;
    pacing.limit(null);
    vi.advanceTimersByTime(1_000);
    expect(sent).toEqual([[...CONTINUOUS]]);
  });
  it("lets whole pictures and everything else through", () => {
    const { sent, socket, pacing } = line();
    pacing.limit(10);
    sent.length = 0;
    const whole = Uint8Array.of(3, 0, 0, 0, 0, 0, 4, 0, 3, 0);
    for (const message of [whole, Uint8Array.of(4, 1, 0, 0, 0, 0, 0, 97)]) socket.send(message);
    expect(sent.length).toBe(2);
    pacing.stop();
  });
  it("takes no part of a long text for a message of its own", () => {
    const { sent, socket, pacing } = line();
    pacing.limit(10);
    sent.length = 0;
    socket.send(Uint8Array.of(6, 0, 0, 0, 0, 0, 0, 12, 65, 66));
    vi.advanceTimersByTime(500);
    socket.send(ASK);
    expect(sent).toEqual([[6, 0, 0, 0, 0, 0, 0, 12, 65, 66], [...ASK]]);
    socket.send(ASK);
    expect(sent.length).toBe(2);
    pacing.stop();
  });
});

describe("a picture looked at from nearer", () => {
  const PLACE = { width: 400, height: 800 };
  const by = (dx: number, dy: number) => ({ dx, dy });

  it("keeps what is between the fingers there", () => {
    const zoom = pinched(WHOLE, { x: 100, y: 200 }, by(0, 0), 2, PLACE);
    expect(zoom).toEqual({ scale: 2, x: -100, y: -200 });
    const under = ({ scale, x }: Zoom) => (100 - x) / scale;
    expect(under(zoom)).toBe(under(WHOLE));
  });
  it("goes with two fingers, and covers its place always", () => {
    let zoom = pinched(WHOLE, { x: 0, y: 0 }, by(0, 0), 3, PLACE);
    zoom = pinched(zoom, { x: 50, y: 50 }, by(-60, -40), 1, PLACE);
    expect(zoom).toEqual({ scale: 3, x: -60, y: -40 });
    zoom = pinched(zoom, { x: 50, y: 50 }, by(900, 900), 1, PLACE);
    expect(zoom).toEqual({ scale: 3, x: 0, y: 0 });
    zoom = pinched(zoom, { x: 50, y: 50 }, by(-9_000, -9_000), 1, PLACE);
    expect(zoom).toEqual({ scale: 3, x: -800, y: -1_600 });
  });
  it("is whole again when it nearly is, and has an end", () => {
    const near = pinched(WHOLE, { x: 0, y: 0 }, by(0, 0), 99, PLACE);
    expect(near.scale).toBe(6);
    expect(pinched(near, { x: 9, y: 9 }, by(0, 0), 0.17, PLACE)).toEqual(WHOLE);
    expect(pinched(WHOLE, { x: 9, y: 9 }, by(0, 0), 1.01, PLACE).scale).toBe(1.01);
  });
});
