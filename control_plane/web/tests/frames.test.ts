import { createHash } from "node:crypto";

import { describe, expect, it } from "vitest";

import { numbered } from "../src/viewer/transfers.svelte.ts";
import { BLOCK, carry, Decoder, digest, say } from "../src/viewer/frames.ts";

const joined = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

describe("a name that is taken", () => {
  it.each([
    ["notes.txt", 1, "notes.txt"],
    ["notes.txt", 2, "notes (2).txt"],
    ["a.b/notes", 3, "a.b/notes (3)"],
    ["a/.profile", 2, "a/.profile (2)"],
    ["x.tar.gz", 2, "x.tar (2).gz"],
  ])("%s, %i: %s", (path, number, name) => {
    expect(numbered(path, number)).toBe(name);
  });
});

describe("frames", () => {
  it("are the bytes that the desktop speaks", () => {
    expect(Buffer.from(say({ type: "a", id: 1 })).toString("latin1")).toBe(
      `\0\0\0\x13\0\0\x01{"type":"a","id":1}`,
    );
    expect([...carry(1, new Uint8Array([7, 8]))]).toEqual([0, 0, 0, 2, 0, 1, 2, 7, 8]);
  });

  it("come in any chunks", () => {
    const decoder = new Decoder();
    const all = joined(say({ type: "a" }), carry(1, new Uint8Array([1, 2])), say({ type: "b" }));
    const found = [...all].flatMap((byte) => decoder.feed(new Uint8Array([byte])));
    expect(found).toEqual([
      { message: { type: "a" } },
      { number: 1, bytes: new Uint8Array([1, 2]) },
      { message: { type: "b" } },
    ]);
  });

  it("that are none are refused", () => {
    expect(() => new Decoder().feed(new Uint8Array([0, 1, 0, 1, 0, 0, 1]))).toThrow();
    expect(() => new Decoder().feed(new Uint8Array([0, 0, 0, 0, 0, 0, 3]))).toThrow();
  });

  it("keep names that are no UTF-8", () => {
    const [frame] = new Decoder().feed(say({ type: "list", path: "\udcff" }));
    expect(frame).toEqual({ message: { type: "list", path: "\udcff" } });
  });

  it("digests are made of blocks", async () => {
    const data = new Uint8Array(BLOCK + 3).fill(5);
    const sha = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
    const parts = [data.subarray(0, BLOCK), data.subarray(BLOCK)];
    const blocks = await Promise.all(parts.map((one) => crypto.subtle.digest("SHA-256", one)));
    expect(await digest(blocks)).toBe(sha(joined(...parts.map(sha))).toString("hex"));
  });
});
