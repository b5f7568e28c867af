/** Cuts what a microphone hears into pieces. */

import { Pieces } from "./pieces.ts";

declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, made: new () => AudioWorkletProcessor): void;
declare const sampleRate: number;

/** What the desktop takes. */
const RATE = 16_000;

class Recorder extends AudioWorkletProcessor {
  readonly #pieces = new Pieces(sampleRate, RATE);

  process([input]: Float32Array[][]): boolean {
    for (const piece of this.#pieces.take(input?.[0] ?? [])) {
      this.port.postMessage(piece, [piece.buffer]);
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
