/**
 * Fewer pictures than the desktop would send: it sends one for each time that it is asked, and is
 * asked so many times a second.
 *
 * noVNC lets a desktop send as it likes (continuous updates) and has no setting for that. So what
 * it says to the socket is looked at: each `send` is one message, but for long clipboards.
 */

import type { Size } from "./viewer.ts";

const ASK = 3;
const CUT_TEXT = 6;
const CONTINUOUS = 150;
const SHORT = 10;

/** What can be sent on. */
export interface Sending {
  send(data: ArrayBufferView): void;
}

export interface Pace {
  /** At most so many pictures a second; null: as many as there are. */
  limit(most: number | null): void;
  stop(): void;
}

/**
 * Take charge of when a desktop sends pictures.
 *
 * @param socket its `send` is replaced.
 * @param screen tells the size of the desktop's screen.
 */
export function pace(socket: Sending, screen: () => Size): Pace {
  const send = socket.send.bind(socket);
  let most: number | null = null;
  let timer: ReturnType<typeof setInterval> | undefined;
  /** The desktop may send as it likes, if we let it. */
  let continuous = false;
  /** Bytes of a text that is not sent whole yet. */
  let rest = 0;

  socket.send = (data: ArrayBufferView) => {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (rest > 0) {
      rest -= bytes.length;
      send(data);
      return;
    }
    const [kind, flag] = bytes;
    if (kind === CUT_TEXT && bytes.length >= 8) {
      const length = new DataView(data.buffer, data.byteOffset).getInt32(4);
      rest = Math.max(0, 8 + Math.abs(length) - bytes.length);
    }
    if (kind === CONTINUOUS && bytes.length === SHORT) {
      continuous = flag === 1;
      if (most !== null) return;
    }
    // A whole picture is asked for at the beginning, and is sent as ever.
    if (kind === ASK && bytes.length === SHORT && flag === 1 && most !== null) return;
    send(data);
  };

  function say(kind: number, flag: number): void {
    const { width, height } = screen();
    const message = new DataView(new ArrayBuffer(SHORT));
    message.setUint8(0, kind);
    message.setUint8(1, flag);
    message.setUint16(6, width);
    message.setUint16(8, height);
    send(new Uint8Array(message.buffer));
  }

  function stop(): void {
    clearInterval(timer);
    timer = undefined;
  }

  return {
    limit(to) {
      if (to === most) return;
      const before = most;
      most = to;
      stop();
      if (to !== null) {
        if (before === null && continuous) say(CONTINUOUS, 0);
        say(ASK, 1);
        timer = setInterval(() => {
          if (rest <= 0) say(ASK, 1);
        }, 1_000 / to);
      } else if (continuous) say(CONTINUOUS, 1);
      else say(ASK, 1);
    },
    stop,
  };
}
