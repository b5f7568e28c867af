import { describe, expect, it } from "vitest";

import { capacity, quantity } from "../src/words/capacity.ts";
import { freeHome } from "../src/words/homes.ts";
import { answers } from "../src/words/status.ts";

describe("quantities", () => {
  it.each([
    ["500m", 0.5],
    ["2", 2],
    [8, 8],
    ["1.5Gi", 1.5 * 2 ** 30],
    ["1G", 1e9],
    ["", null],
    ["many", null],
    [undefined, null],
    [{}, null],
  ])("%j is %j", (text, amount) => {
    expect(quantity(text)).toBe(amount);
  });
});

describe("what an agent has", () => {
  it("is told with what is in use", () => {
    const said = {
      sessions: 8,
      sessions_used: 2,
      total: { cpu: "2", memory: "8G" },
      used: { cpu: "500m" },
    };
    expect(capacity(said)).toEqual([
      { name: "Sessions", said: "2 of 8", share: 0.25 },
      { name: "CPU", said: "0.5 of 2", share: 0.25 },
      { name: "Memory", said: "8.0 GB", share: null },
    ]);
  });
  it.each([{}, { total: null }, { total: 7, sessions: "x" }])("is nothing for %j", (said) => {
    expect(capacity(said)).toEqual([]);
  });
});

describe("the home of a new session", () => {
  const holding = (home: string | null, phase = "Running") => ({ home, phase });
  it("is the template's own while nobody has it", () => {
    expect(freeHome("desktop", [])).toBe("desktop");
    expect(freeHome("desktop", [holding("desktop", "Terminated"), holding(null)])).toBe("desktop");
  });
  it("is the next one when that is in use, asleep or on its way out", () => {
    const used = [holding("desktop", "Hibernated"), holding("desktop-2", "Terminating")];
    expect(freeHome("desktop", used)).toBe("desktop-3");
  });
  it("is never one that is being deleted", () => {
    expect(freeHome("desktop", [], new Set(["desktop"]))).toBe("desktop-2");
  });
});

describe("status", () => {
  const status = {
    version: "1",
    instance: "0",
    url: "http://x",
    sessions: { Running: 2, Failed: 1 },
    queue: {},
    agents: [
      { name: "here", state: "enrolled", linked: true },
      { name: "attic", state: "draining", linked: false },
    ],
  };
  const states = (...asked: Parameters<typeof answers>) =>
    answers(...asked).map((answer) => answer.state);

  it("is unknown before the first answer", () => {
    expect(states(null, null, "connecting")).toEqual(Array(5).fill("unknown"));
  });
  it("says what is wrong", () => {
    expect(states(status, null, "live")).toEqual(["well", "well", "ill", "well", "ill"]);
    expect(answers(status, null, "live")[2]?.said).toBe("Not connected: attic.");
  });
  it("keeps what it knew when the control plane stops answering", () => {
    expect(states(status, "It is gone.", "lost")[0]).toBe("ill");
    expect(answers(status, "It is gone.", "lost")[4]?.said).toContain("2 running");
  });
});
