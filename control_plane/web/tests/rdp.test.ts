import { afterEach, describe, expect, it, vi } from "vitest";

import { ending } from "../src/viewer/endings.ts";
import { CHORDS, FUNCTION_KEYS, keyOf } from "../src/viewer/keys.ts";
import { endedByServer, failed, fromRdp, screenFor, toRdp } from "../src/viewer/rdp-words.ts";
import { characterOf, SCANCODES } from "../src/viewer/scancodes.ts";
import { watch } from "../src/viewer/sockets.ts";

describe("scancodes", () => {
  it.each([
    ["Escape", 0x01],
    ["Digit0", 0x0b],
    ["Equal", 0x0d],
    ["KeyP", 0x19],
    ["BracketRight", 0x1b],
    ["Enter", 0x1c],
    ["Backquote", 0x29],
    ["ShiftRight", 0x36],
    ["Space", 0x39],
    ["F10", 0x44],
    ["ScrollLock", 0x46],
    ["Numpad9", 0x49],
    ["NumpadDecimal", 0x53],
    ["F12", 0x58],
    ["ControlRight", 0xe01d],
    ["AltRight", 0xe038],
    ["PageUp", 0xe049],
    ["Delete", 0xe053],
    ["ContextMenu", 0xe05d],
  ])("%s is %i", (code, scancode) => expect(SCANCODES.get(code)).toBe(scancode));

  it("are never the same for two keys", () => {
    expect(new Set(SCANCODES.values()).size).toBe(SCANCODES.size);
  });

  it("know every key of the menu", () => {
    const keys = [...CHORDS, ...FUNCTION_KEYS].flatMap((chord) => chord.keys);
    expect(keys.filter((key) => !SCANCODES.has(key.code))).toEqual([]);
  });
});

describe("a character", () => {
  it.each(["a", "é", "€", "語", "🙂"])("knows %s by its keysym", (character) => {
    expect(characterOf(keyOf(character).keysym)).toBe(character);
  });

  it("knows that a function key writes nothing", () => expect(characterOf(0xffbe)).toBeNull());
});

describe("the screen that is asked for", () => {
  it.each([
    [1280, 720, 1280, 720],
    [1279, 719, 1276, 718],
    [1001, 601, 1000, 600],
    [0, 0, 200, 200],
    [99999, 99999, 7680, 4320],
  ])("%i x %i: %i x %i", (width, height, w, h) => {
    expect(screenFor({ width, height })).toEqual({ width: w, height: h });
  });
});

describe("the end of a session", () => {
  it.each([
    [0, "again", "general"],
    [1, "try", "wrong_password"],
    [2, "try", "logon_failed"],
    [4, "try", "gate_refused"],
    [5, "again", "proxy_unreachable"],
    [6, "try", "negotiation_failed"],
    [99, "try", "general"],
    [null, "again", "general"],
  ])("kind %s: %s", (kind, then, code) => {
    const said = ending(failed(kind));
    expect([said.then, said.code]).toEqual([then, code]);
    expect(said.sentence).toMatch(/^The .+\.$/u);
  });

  it.each([
    ["Another user connected to the server, disconnected by other connection", "superseded", "ask"],
    ["logoff by user", "logged_off", "again"],
    ["idle timeout", "idle", "ask"],
    ["", "disconnected", "again"],
  ])("%j: %s", (said, code, then) => {
    expect(ending(endedByServer(said))).toMatchObject({ code, then });
  });
});

it("a text of the desktop has our ends of lines", () => {
  expect(fromRdp("one\r\ntwo\n\0")).toBe("one\ntwo\n");
});

it("a text for the desktop has what xrdp can carry", () => {
  expect(toRdp("Grüße 語 🙂!\n")).toBe("Grüße 語 \ufffd!\n");
});

describe("a socket that other code opens", () => {
  class Played extends EventTarget {
    static made: Played[] = [];
    code: number | undefined;
    constructor(
      readonly url: string,
      readonly protocols?: string | string[],
    ) {
      super();
      Played.made.push(this);
    }
    close(code?: number) {
      this.code = code;
    }
  }
  vi.stubGlobal("WebSocket", Played);
  afterEach(() => {
    Played.made = [];
  });
  const ends = (socket: Played | undefined, code: number, reason: string) =>
    socket?.dispatchEvent(Object.assign(new Event("close"), { code, reason }));

  it("is watched to its end", async () => {
    const watched = watch("ws://here/one");
    new WebSocket("ws://here/one");
    const [socket] = Played.made;
    expect(socket?.protocols).toEqual(["binary"]);
    expect(watched.how).toBeNull();
    const over = watched.closed(60_000);
    ends(socket, 4003, "kicked: Out.");
    await over;
    expect(watched.how).toEqual({ code: 4003, reason: "kicked: Out." });
  });

  it("is closed when it is opened too late", () => {
    const watched = watch("ws://here/two");
    watched.close();
    new WebSocket("ws://here/two");
    expect(Played.made[0]?.code).toBe(1000);
  });

  it("is left alone when nobody waits for it", async () => {
    const watched = watch("ws://here/three");
    watched.forget();
    new WebSocket("ws://here/three", "mine");
    expect(Played.made[0]?.protocols).toBe("mine");
    await watched.closed(1);
    expect(watched.how).toBeNull();
  });
});
