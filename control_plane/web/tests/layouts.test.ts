import { describe, expect, it } from "vitest";
import { LAYOUTS, layoutOf, wish } from "../src/viewer/layouts.ts";

const keys = (writes: Record<string, string>) =>
  new Map(Object.entries({ KeyQ: "q", KeyS: "s", KeyD: "d", KeyE: "e", KeyY: "y", ...writes }));

describe("the layout that somebody sits at", () => {
  it.each([
    ["us", {}],
    ["gb", { Backslash: "#", IntlBackslash: "\\" }],
    ["de", { KeyY: "z", KeyZ: "y", Semicolon: "ö", Quote: "ä", Minus: "ß" }],
    ["ch", { KeyY: "z", KeyZ: "y", Semicolon: "ö", Quote: "ä", Minus: "'" }],
    ["ch(fr)", { KeyY: "z", KeyZ: "y", Semicolon: "é", Quote: "à", Minus: "'" }],
    ["hu", { KeyY: "z", KeyZ: "y", Semicolon: "é", Quote: "á" }],
    ["fr", { KeyQ: "a", KeyA: "q", Semicolon: "m", Digit8: "_" }],
    ["be", { KeyQ: "a", KeyA: "q", Semicolon: "m", Digit8: "!" }],
    ["se", { Semicolon: "ö", Quote: "ä", BracketLeft: "å" }],
    ["dk", { Semicolon: "æ", Quote: "ø", BracketLeft: "å" }],
    ["no", { Semicolon: "ø", Quote: "æ", BracketLeft: "å" }],
    ["es", { Semicolon: "ñ", Equal: "¡" }],
    ["latam", { Semicolon: "ñ", Equal: "¿" }],
    ["us(dvorak)", { KeyQ: "'", KeyS: "o", KeyD: "e" }],
    ["us(colemak)", { KeyS: "r", KeyD: "s" }],
    ["ru", { KeyQ: "й", KeyS: "ы" }],
    ["ua", { KeyQ: "й", KeyS: "і" }],
    ["jp", { BracketLeft: "@", Quote: ":" }],
  ])("is %s by what its keys write, whatever they read", (layout, writes) => {
    expect(layoutOf(keys(writes as Record<string, string>), ["pt-BR"])).toBe(layout);
  });

  it("is told from one that writes the same by what they read", () => {
    expect(layoutOf(keys({}), ["pl-PL", "en"])).toBe("pl");
    expect(layoutOf(keys({ Semicolon: "ö", BracketLeft: "å" }), ["fi"])).toBe("fi");
    expect(layoutOf(keys({}), ["de"])).toBe("us");
  });

  it.each([
    ["de", ["de-AT", "en"]],
    ["ch", ["de-CH"]],
    ["latam", ["es-MX"]],
    ["gb", ["en-GB"]],
    ["us", ["eo", "en-US"]],
    ["us", []],
  ])("is %s for who reads %s where a browser does not tell keys", (layout, languages) => {
    expect(layoutOf(null, languages)).toBe(layout);
    expect(layoutOf(new Map(), languages)).toBe(layout);
  });

  it("is asked for unless a session has it anyway", () => {
    expect(wish("us")).toEqual({});
    expect(wish("de")).toEqual({ keyboard: "de" });
    expect(wish("us", "de")).toEqual({ keyboard: "us" });
    expect(wish("de", "de")).toEqual({});
  });

  it("is one of those that are offered", () => {
    const offered = new Set(LAYOUTS.map((one) => one.value));
    expect(offered.size).toBe(LAYOUTS.length);
    for (const tag of ["fr-CA", "fr-BE", "sv", "nb", "da", "pl", "cs", "sk", "uk", "el", "tr", "ja", "ko"]) {
      expect(offered).toContain(layoutOf(null, [tag]));
    }
  });
});
