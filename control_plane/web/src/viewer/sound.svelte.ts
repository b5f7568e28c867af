/**
 * What the desktop plays, played here. Nothing is asked for until somebody wants to hear it.
 *
 * The desktop sends Opus where this browser can decode it, else samples.
 */

import { asProblem } from "../api/problem.ts";
import { Decoder, say, type Frame } from "./frames.ts";
import worklet from "./sound-worklet.ts?worker&url";
import { absolute, type Way } from "./way.ts";

const AGAIN_MS = 2_000;

/** What the desktop says before it plays. */
interface Playing {
  codec: string;
  rate: number;
  channels: number;
}

export class Sound {
  /** Whether somebody wants to hear it. */
  on = $state(false);
  /** Why nothing is heard, as a sentence. */
  trouble = $state("");
  /** Whether this browser can play what comes. */
  readonly possible = typeof AudioWorkletNode !== "undefined";

  #context: AudioContext | null = null;
  #socket: WebSocket | null = null;
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly way: Way) {}

  /** Begin or end to listen; call it from a click, or browsers play nothing. */
  async toggle(): Promise<void> {
    if (this.on) {
      this.close();
      return;
    }
    this.on = true;
    this.trouble = "";
    await this.#listen();
  }

  /** Listen no more. */
  close(): void {
    this.on = false;
    clearTimeout(this.#again);
    this.#socket?.close();
    this.#socket = null;
    void this.#context?.close();
    this.#context = null;
  }

  async #listen(): Promise<void> {
    try {
      const { url } = await this.way.ticket("view", "audio");
      if (!this.on) return;
      const socket = new WebSocket(absolute(url), ["binary"]);
      socket.binaryType = "arraybuffer";
      this.#socket = socket;
      const codecs = typeof AudioDecoder === "undefined" ? ["s16le"] : ["opus", "s16le"];
      socket.addEventListener("open", () => socket.send(say({ type: "listen", codecs })));
      const frames = new Decoder();
      let play: ((bytes: Uint8Array<ArrayBuffer>) => void) | null = null;
      let starting = Promise.resolve();
      const take = async (frame: Frame) => {
        if ("bytes" in frame) play?.(frame.bytes);
        else if (frame.message.type === "playing") {
          play = await this.#start(frame.message as unknown as Playing);
        } else this.trouble = String(frame.message.message ?? "The desktop plays nothing.");
      };
      socket.addEventListener("message", (event: MessageEvent<ArrayBuffer>) => {
        for (const frame of frames.feed(new Uint8Array(event.data))) {
          starting = starting.then(() => take(frame));
        }
      });
      socket.addEventListener("close", () => this.#lost(socket));
    } catch (thrown) {
      const problem = asProblem(thrown);
      if (problem.passing || problem.status === 409) this.#later();
      else {
        this.trouble = problem.sentence;
        this.close();
      }
    }
  }

  #lost(socket: WebSocket): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    if (this.trouble) this.close();
    else this.#later();
  }

  #later(): void {
    if (this.on) this.#again = setTimeout(() => void this.#listen(), AGAIN_MS);
  }

  /** Make what plays; return what takes packets or samples. */
  async #start(playing: Playing): Promise<(bytes: Uint8Array<ArrayBuffer>) => void> {
    await this.#context?.close();
    const { rate, channels } = playing;
    const context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
    this.#context = context;
    await context.audioWorklet.addModule(worklet);
    const player = new AudioWorkletNode(context, "player", { outputChannelCount: [channels] });
    player.connect(context.destination);
    await context.resume();
    const give = (planes: Float32Array<ArrayBuffer>[]) =>
      player.port.postMessage(planes, planes.map((plane) => plane.buffer));
    if (playing.codec !== "opus") return (bytes) => give(planes(bytes, channels));
    const decoder = new AudioDecoder({
      output: (data) => {
        give(
          Array.from({ length: data.numberOfChannels }, (_, planeIndex) => {
            const plane = new Float32Array(data.numberOfFrames);
            data.copyTo(plane, { planeIndex, format: "f32-planar" });
            return plane;
          }),
        );
        data.close();
      },
      error: (error) => (this.trouble = `The sound could not be understood: ${error.message}`),
    });
    decoder.configure({ codec: "opus", sampleRate: rate, numberOfChannels: channels });
    let at = 0;
    return (data) => {
      decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: at, data }));
      at += 20_000;
    };
  }
}

/** Interleaved samples of 16 bits as planes of numbers between -1 and 1. */
function planes(bytes: Uint8Array, channels: number): Float32Array<ArrayBuffer>[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Math.floor(bytes.byteLength / (2 * channels));
  return Array.from({ length: channels }, (_, channel) =>
    Float32Array.from(
      { length },
      (_, at) => view.getInt16(2 * (at * channels + channel), true) / 32_768,
    ),
  );
}
