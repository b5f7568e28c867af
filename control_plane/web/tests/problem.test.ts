import { describe, expect, it } from "vitest";

import { asProblem, problemOf } from "../src/api/problem.ts";

describe("a refusal", () => {
  it("speaks in the server's words", () => {
    const body = { title: "Conflict", detail: "The home is in use.", code: "home_in_use" };
    expect(problemOf(409, body, null)).toMatchObject({
      status: 409,
      code: "home_in_use",
      sentence: "The home is in use.",
      retryAfter: null,
    });
  });

  it.each([null, "", "<html>", 7, { detail: 3 }, []])("is a sentence even from %j", (body) => {
    const problem = problemOf(502, body, "soon");
    expect(problem.sentence).toContain("502");
    expect(problem.retryAfter).toBeNull();
    expect(problem.passing).toBe(true);
  });

  it("says when to come back", () => {
    expect(problemOf(503, {}, "2").retryAfter).toBe(2);
  });
});

describe("whatever is thrown", () => {
  it("a failed fetch means that nobody answered", () => {
    expect(asProblem(new TypeError("Failed to fetch"))).toMatchObject({
      status: 0,
      code: "unreachable",
      passing: true,
    });
  });
  it("a problem stays itself", () => {
    const problem = problemOf(404, {}, null);
    expect(asProblem(problem)).toBe(problem);
  });
});
