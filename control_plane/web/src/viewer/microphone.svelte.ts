/**
 * What is said here, heard by the desktop's programs. The browser asks before it listens, and
 * nothing listens before somebody wants to speak.
 */

import { asProblem } from "../api/problem.ts";
import { carry, Decoder, say } from "./frames.ts";
import worklet from "./microphone-worklet.ts?worker&url";
import { absolute, type Way } from "./way.ts";

/** Bytes that wait for the line at the most, a fifth of a second: what is late is not said. */
const WAITING = 8_192;

export class Microphone {
  /** Whether somebody wants to be heard. */
  on = $state(false);
  /** Why they are not, as a sentence. */
  trouble = $state("");
  /** Whether this browser can hear them: pages that came without TLS may not. */
  readonly possible =
    typeof AudioWorkletNode !== "undefined" && navigator.mediaDevices !== undefined;

  #stream: MediaStream | null = null;
  #context: AudioContext | null = null;
  #socket: WebSocket | null = null;

  constructor(private readonly way: Way) {}

  /** Begin or end to speak. */
  async toggle(): Promise<void> {
    if (this.on) {
      this.close();
      return;
    }
    this.on = true;
    this.trouble = "";
    try {
      const heard = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
      const stream = await navigator.mediaDevices.getUserMedia({ audio: heard });
      if (!this.on) {
        hangUp(stream);
        return;
      }
      this.#stream = stream;
    } catch (thrown) {
      this.#fail(
        thrown instanceof DOMException && thrown.name === "NotAllowedError"
          ? "This browser was told not to use the microphone: allow it beside the address."
          : "There is no microphone that can be used.",
      );
      return;
    }
    try {
      await this.#speak(this.#stream);
    } catch (thrown) {
      this.#fail(asProblem(thrown).sentence);
    }
  }

  /** Speak no more; the browser's own sign goes out, too. */
  close(): void {
    this.on = false;
    if (this.#stream) hangUp(this.#stream);
    this.#stream = null;
    this.#socket?.close();
    this.#socket = null;
    void this.#context?.close();
    this.#context = null;
  }

  async #speak(stream: MediaStream): Promise<void> {
    const { url } = await this.way.ticket("control", "microphone");
    const context = new AudioContext({ latencyHint: "interactive" });
    await context.audioWorklet.addModule(worklet);
    if (this.#stream !== stream) {
      void context.close();
      return;
    }
    this.#context = context;
    const socket = new WebSocket(absolute(url), ["binary"]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
    recorder.port.onmessage = ({ data }: MessageEvent<Int16Array<ArrayBuffer>>) => {
      if (socket.bufferedAmount <= WAITING) socket.send(carry(1, new Uint8Array(data.buffer)));
    };
    const frames = new Decoder();
    socket.addEventListener("open", () => socket.send(say({ type: "speak" })));
    socket.addEventListener("message", (event: MessageEvent<ArrayBuffer>) => {
      for (const frame of frames.feed(new Uint8Array(event.data))) {
        if (!("message" in frame) || this.#socket !== socket) continue;
        if (frame.message.type === "hearing") {
          context.createMediaStreamSource(stream).connect(recorder);
        } else this.#fail(String(frame.message.message ?? "The desktop does not hear."));
      }
    });
    socket.addEventListener("close", () => {
      if (this.#socket === socket) this.#fail("The desktop does not hear you any more.");
    });
    await context.resume();
  }

  #fail(sentence: string): void {
    this.close();
    this.trouble = sentence;
  }
}

function hangUp(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
