import { describe, expect, it } from "vitest";

import { ending, pause } from "../src/viewer/endings.ts";
import { difference, keyOf } from "../src/viewer/keys.ts";

describe("the end of a stream", () => {
  it.each([
    [1001, "again"],
    [1006, "again"],
    [4001, "over"],
    [4002, "over"],
    [4003, "ask"],
    [4004, "again"],
    [4005, "try"],
    [4009, "again"],
    [1013, "again"],
    [4006, "again"],
    [4007, "again"],
    [4008, "ask"],
    [1000, "over"],
    [4099, "again"],
  ])("code %i: %s", (code, then) => {
    expect(ending({ code, reason: "" }).then).toBe(then);
  });

  it("speaks in the words that came with it", () => {
    expect(ending({ code: 4003, reason: "kicked: Ada closed this viewer." })).toEqual({
      then: "ask",
      code: "kicked",
      sentence: "Ada closed this viewer.",
    });
  });

  it.each([
    [4003, "viewer_stalled: Nothing was read.", "again"],
    [4001, "session_not_running: The session is not running.", "again"],
    [4005, "too_many_viewers: The gate is full.", "ask"],
    [4005, "gate_silent: It does not answer.", "try"],
  ])("code %i with %j: %s", (code, reason, then) => {
    expect(ending({ code, reason }).then).toBe(then);
  });

  it("takes a name without a sentence", () => {
    expect(ending({ code: 4003, reason: "superseded" })).toEqual({
      then: "ask",
      code: "superseded",
      sentence: "Somebody disconnected this viewer.",
    });
  });

  it.each(["", "no code here", "Upper: x", ": x", "kicked:"])(
    "keeps to its own words when %j came",
    (reason) => {
      expect(ending({ code: 4003, reason }).sentence).toBe("Somebody disconnected this viewer.");
    },
  );
});

describe("the pause before an attempt", () => {
  it("is nothing the first time", () => {
    expect(pause(0, 0.99)).toBe(0);
  });
  it("grows, with jitter, and never beyond four seconds", () => {
    let before = 0;
    for (let failures = 1; failures < 40; failures += 1) {
      const shortest = pause(failures, 0);
      const longest = pause(failures, 0.999_999);
      expect(shortest).toBeGreaterThanOrEqual(before);
      expect(shortest).toBeLessThan(longest);
      expect(longest).toBeLessThanOrEqual(4_000);
      before = shortest;
    }
  });
});

describe("keys from text", () => {
  it.each([
    ["a", 0x61],
    ["é", 0xe9],
    ["\n", 0xff0d],
    ["\t", 0xff09],
    ["日", 0x010065e5],
    ["😀", 0x0101f600],
  ])("%j", (character, keysym) => {
    expect(keyOf(character).keysym).toBe(keysym);
  });

  it.each([
    ["___", "___h", 0, "h"],
    ["___teh", "___the", 2, "he"],
    ["___", "__", 1, ""],
    ["_😀", "_", 1, ""],
    ["_", "_", 0, ""],
  ])("%j to %j takes %i off and adds %j", (before, after, erased, added) => {
    expect(difference(before, after)).toEqual({ erased, added });
  });
});
