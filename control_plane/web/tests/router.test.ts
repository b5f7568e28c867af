import { describe, expect, it } from "vitest";

import { href, parse, type Route } from "../src/router.ts";

describe("addresses", () => {
  const routes: Exclude<Route, { page: "unknown" }>[] = [
    { page: "sessions" },
    { page: "session", id: "0195-4f" },
    { page: "session", id: "a/b c?d#e%" },
    { page: "session", id: "0195-4f", over: "rdp" },
    { page: "session", id: "0195-4f", over: "a&b=c d" },
    { page: "homes" },
    { page: "agents" },
    { page: "commands" },
    { page: "tokens" },
    { page: "status" },
    { page: "sign-in", token: null, to: null },
    { page: "sign-in", token: "phs_a+b/c=&d", to: null },
    { page: "sign-in", token: "phs_a", to: "/sessions/0195-4f" },
  ];
  it.each(routes)("come back as they went: $page", (route) => {
    expect(parse(href(route))).toEqual(route);
  });

  it.each(["", "#", "#/", "/"])("the empty one %j is the sessions", (fragment) => {
    expect(parse(fragment)).toEqual({ page: "sessions" });
  });

  it.each(["#/nowhere", "#/homes/x", "#/sessions/a/b", "#/sign-in/x", "#//x"])(
    "%s is not known, and says so",
    (fragment) => {
      expect(parse(fragment).page).toBe("unknown");
    },
  );

  it("a broken escape does not throw", () => {
    expect(parse("#/sessions/%E0%A4%A")).toEqual({ page: "session", id: "%E0%A4%A" });
  });
});
