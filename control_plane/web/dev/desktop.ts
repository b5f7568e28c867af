/** A desktop for development: RFB 3.8, no security, one painted picture and a moving clock.
 * With `DESKTOP_SOCKET=/run/….sock npm run dev` it is a real one, e.g. an Xvnc's. */

import { createConnection } from "node:net";

import type { WebSocket } from "ws";

let width = 1280;
let height = 720;

export function serveDesktop(socket: WebSocket): void {
  const real = process.env["DESKTOP_SOCKET"];
  if (real) passOn(socket, real);
  else scripted(socket);
}

function passOn(socket: WebSocket, path: string): void {
  const desktop = createConnection(path);
  desktop.on("data", (data) => socket.send(data));
  desktop.on("close", () => socket.close(4001, "session_ended: The desktop is gone."));
  desktop.on("error", () => undefined);
  socket.on("message", (data: Buffer) => desktop.write(data));
  socket.on("close", () => desktop.destroy());
}

function scripted(socket: WebSocket): void {
  let buffer = Buffer.alloc(0);
  let stage: "version" | "security" | "init" | "ready" = "version";
  let asked = false;
  let full = true;
  let resized = false;
  let bytes = 4;
  let tick = 0;
  let shifts = { r: 16, g: 8, b: 0 };

  const send = (data: Buffer) => socket.readyState === socket.OPEN && socket.send(data);
  send(Buffer.from("RFB 003.008\n"));

  function color(out: Buffer, at: number, r: number, g: number, b: number): void {
    out.writeUInt32LE(((r << shifts.r) | (g << shifts.g) | (b << shifts.b)) >>> 0, at);
  }

  function paint(x0: number, y0: number, w: number, h: number): Buffer {
    const out = Buffer.alloc(12 + w * h * bytes);
    out.writeUInt16BE(x0, 0);
    out.writeUInt16BE(y0, 2);
    out.writeUInt16BE(w, 4);
    out.writeUInt16BE(h, 6);
    let at = 12;
    for (let y = y0; y < y0 + h; y += 1) {
      const deep = y / height;
      for (let x = x0; x < x0 + w; x += 1) {
        const wave = Math.sin(x / 90 + deep * 7) * 9;
        let [r, g, b] = [18 + deep * 30 + wave, 62 + (1 - deep) * 70 + wave, 84 + (1 - deep) * 66];
        const inWindow = x > 120 && x < 760 && y > 90 && y < 470;
        if (inWindow) [r, g, b] = y < 118 ? [228, 233, 234] : [22, 28, 31];
        if (inWindow && y > 132 && y < 400 && (y - 132) % 22 < 10 && x > 138) {
          const length = 80 + ((Math.floor((y - 132) / 22) * 137) % 420);
          if (x < 138 + length && x % 9 < 6) [r, g, b] = [120, 200, 190];
        }
        if (y > height - 30) [r, g, b] = [16, 24, 28];
        if (y > height - 20 && y < height - 12 && x > 20 && x < 20 + ((tick * 12) % 160)) {
          [r, g, b] = [98, 201, 205];
        }
        color(out, at, r & 255, g & 255, b & 255);
        at += bytes;
      }
    }
    return out;
  }

  function update(): void {
    if (!asked || stage !== "ready") return;
    asked = false;
    const rectangles: Buffer[] = [];
    if (resized) {
      const size = Buffer.alloc(12 + 4 + 16);
      size.writeUInt16BE(1, 0);
      size.writeUInt16BE(width, 4);
      size.writeUInt16BE(height, 6);
      size.writeInt32BE(-308, 8);
      size[12] = 1;
      size.writeUInt16BE(width, 24);
      size.writeUInt16BE(height, 26);
      rectangles.push(size);
      resized = false;
      full = true;
    }
    rectangles.push(full ? paint(0, 0, width, height) : paint(0, height - 30, 200, 30));
    full = false;
    const head = Buffer.alloc(4);
    head.writeUInt16BE(rectangles.length, 2);
    send(Buffer.concat([head, ...rectangles]));
  }
  const clock = setInterval(() => {
    tick += 1;
    update();
  }, 250);
  socket.on("close", () => clearInterval(clock));

  function take(length: number): Buffer | null {
    if (buffer.length < length) return null;
    const part = buffer.subarray(0, length);
    buffer = buffer.subarray(length);
    return part;
  }

  function message(): boolean {
    const sizes: Record<number, number> = { 0: 20, 3: 10, 4: 8, 5: 6, 6: 8, 2: 4, 251: 8, 150: 10, 248: 9, 255: 12 };
    const kind = buffer[0];
    if (kind === undefined) return false;
    let size = sizes[kind] ?? 1;
    if (kind === 2 && buffer.length >= 4) size = 4 + 4 * buffer.readUInt16BE(2);
    if (kind === 6 && buffer.length >= 8) size = 8 + Math.abs(buffer.readInt32BE(4));
    if (kind === 251 && buffer.length >= 8) size = 8 + 16 * (buffer[6] ?? 0);
    const part = take(size);
    if (!part) return false;
    if (kind === 0) {
      bytes = (part[4] ?? 32) / 8;
      shifts = { r: part[14] ?? 16, g: part[15] ?? 8, b: part[16] ?? 0 };
    }
    if (kind === 2) {
      resized = true;
    }
    if (kind === 3) {
      asked = true;
      if (part[1] === 0) full = true;
      if (full || resized) update();
    }
    if (kind === 251) {
      width = part.readUInt16BE(2);
      height = part.readUInt16BE(4);
      resized = true;
      update();
    }
    return true;
  }

  socket.on("message", (data: Buffer) => {
    buffer = Buffer.concat([buffer, data]);
    for (;;) {
      if (stage === "version" && take(12)) {
        stage = "security";
        send(Buffer.from([1, 1]));
      } else if (stage === "security" && take(1)) {
        stage = "init";
        send(Buffer.alloc(4));
      } else if (stage === "init" && take(1)) {
        stage = "ready";
        const name = Buffer.from("scripted desktop");
        const init = Buffer.alloc(24);
        init.writeUInt16BE(width, 0);
        init.writeUInt16BE(height, 2);
        init.set([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0], 4);
        init.writeUInt32BE(name.length, 20);
        send(Buffer.concat([init, name]));
      } else if (stage !== "ready" || !message()) {
        return;
      }
    }
  });
}
