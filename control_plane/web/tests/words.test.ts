import { describe, expect, it } from "vitest";

import { bytes, count } from "../src/words/amounts.ts";
import { forbids, tooLong } from "../src/words/clipboard.ts";
import { verbs, why } from "../src/words/phases.ts";
import { headline, tone } from "../src/words/story.ts";
import { steps } from "../src/words/steps.ts";
import { lasting, relative } from "../src/words/time.ts";

const NOW = Date.UTC(2026, 0, 15, 12);

describe("the clipboard", () => {
  const rules = { upload: true, download: true, most: 10 };

  it("says what a template forbids, and nothing else", () => {
    expect(forbids(rules)).toBe("");
    expect(forbids({ ...rules, upload: false })).toContain("nothing be pasted in");
    expect(forbids({ ...rules, download: false })).toContain("nothing out");
    expect(forbids({ ...rules, upload: false, download: false })).toContain("keeps the clipboard apart");
  });

  it("counts bytes, and the two at the end of a line", () => {
    expect(tooLong("x".repeat(10), rules)).toBe("");
    expect(tooLong("\u65e5\u672c\u8a9e1", rules)).toBe("");
    expect(tooLong("\u65e5\u672c\u8a9e12", rules)).toContain("11 B, and 10 B is the most");
    expect(tooLong("12345678\n9", rules)).toContain("too long");
  });
});

describe("times", () => {
  it.each([
    [0, "just now"],
    [-4, "just now"],
    [12, "12 s ago"],
    [-90, "in 1 min"],
    [60 * 59, "59 min ago"],
    [3600 * 5, "5 h ago"],
    [86_400, "yesterday"],
    [-86_400, "tomorrow"],
    [86_400 * 12, "12 days ago"],
  ])("%i s away is %s", (seconds, said) => {
    expect(relative(NOW - seconds * 1000, NOW)).toBe(said);
  });

  it.each([
    [-5, "0.0 s"],
    [380, "0.4 s"],
    [12_900, "12 s"],
    [200_000, "3 min 20 s"],
    [180_000, "3 min"],
    [18_720_000, "5 h 12 min"],
    [86_400_000 * 3, "3 days"],
  ])("%i ms last %s", (milliseconds, said) => {
    expect(lasting(milliseconds)).toBe(said);
  });
});

describe("amounts", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 KB"],
    [10_737_418_240, "11 GB"],
    [999_999, "1.0 MB"],
  ])("%i bytes are %s", (amount, said) => {
    expect(bytes(amount)).toBe(said);
  });

  it("counts", () => {
    expect(count(1, "session")).toBe("1 session");
    expect(count(0, "session")).toBe("0 sessions");
  });
});

describe("why a session is as it is", () => {
  it("is the server's sentence first", () => {
    expect(why("Failed", "StartFailed", "No space is left.")).toBe("No space is left.");
  });
  it("is the reason's sentence when the server has none", () => {
    expect(why("Pending", "HomeInUse", " ")).toContain("holds its home");
  });
  it("is the phase's for a reason that nobody knows", () => {
    expect(why("Running", "Unheard", null)).toBe("The desktop is ready.");
  });
  it("never throws at a phase of a newer server", () => {
    expect(why("Pondering", null, null)).toBe("");
  });
});

describe("verbs", () => {
  it("nothing can be done with what is gone", () => {
    expect(verbs("Terminating", "Running")).toEqual({
      open: false,
      hibernate: false,
      wake: false,
      end: false,
    });
  });
  it("a session that is asked to sleep can be asked to wake", () => {
    expect(verbs("Hibernating", "Hibernated")).toMatchObject({ hibernate: false, wake: true });
  });
  it("a failed one can be tried again", () => {
    expect(verbs("Failed", "Running")).toMatchObject({ hibernate: false, wake: true, end: true });
  });
});

describe("the story of a session", () => {
  it.each([
    ["PhaseChanged", "Running", "Running"],
    ["PhaseChanged", "Hibernated", "Hibernated"],
    ["Created", "Pending", "Created"],
    ["Assigned", "Pending", "Placed"],
    ["WindowsLost", "Starting", "Windows lost"],
    ["Queued", "Pending", "Queued"],
    ["Resent", "Running", "Sent again"],
    ["Taken", "Pending", "Held by its runtime"],
    ["StreamOpened", "Running", "Somebody looks"],
    ["", null, ""],
  ])("%s in %s is called %j", (kind, phase, said) => {
    expect(headline({ kind, phase, reason: "" })).toBe(said);
  });
  it("is painted in the colour of what happened", () => {
    expect(tone({ kind: "Refused", phase: "Pending", reason: "" })).toBe("bad");
    expect(tone({ kind: "PhaseChanged", phase: "Running", reason: "" })).toBe("lit");
    expect(tone({ kind: "Sent", phase: "Running", reason: "" })).toBe("idle");
    expect(tone({ kind: "Resent", phase: "Running", reason: "" })).toBe("wait");
    expect(tone({ kind: "StreamRefused", phase: "Running", reason: "" })).toBe("bad");
    expect(tone({ kind: "Waiting", phase: "Pending", reason: "NoCapacity" })).toBe("wait");
  });
});

describe("steps", () => {
  const session = { phase: "Pending", reason: "Accepted", message: null, agent: null, home: null };
  const states = (changes: Partial<typeof session>, connecting = false) =>
    steps({ ...session, ...changes }, connecting).map((step) => step.state);

  it("fill up from the first to the last", () => {
    expect(states({})).toEqual(["done", "now", "ahead", "ahead"]);
    expect(states({ phase: "Starting" })).toEqual(["done", "done", "now", "ahead"]);
    expect(states({ phase: "Running" }, true)).toEqual(["done", "done", "done", "now"]);
  });
  it("name the place as soon as it is known", () => {
    const names = (changes: object) =>
      steps({ ...session, ...changes }, false).map((step) => step.name);
    expect(names({})[1]).toBe("Find a place to run");
    expect(names({ agent: "attic" })[1]).toBe("Hand it to attic");
    expect(names({ agent: "attic", phase: "Starting" })[1]).toBe("Placed on attic");
  });
  it("say where it is stuck", () => {
    expect(states({ reason: "NoCapacity" })[1]).toBe("stuck");
    expect(states({ phase: "Failed" })[2]).toBe("stuck");
  });
});
