/**
 * Plays samples as they come. It keeps a little in store against an uneven line; when there is
 * too much in store it leaves some out, so that sound and picture stay together.
 */

declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, made: new () => AudioWorkletProcessor): void;

/** Seconds in store before it begins, and again after it ran dry. */
const STORE = 0.06;
/** Seconds in store that are too many. */
const TOO_MUCH = 0.25;

class Player extends AudioWorkletProcessor {
  /** Planes of samples, one for each channel, the oldest first. */
  #pieces: Float32Array[][] = [];
  #at = 0;
  #stored = 0;
  #plays = false;

  constructor() {
    super();
    this.port.onmessage = (event: MessageEvent<Float32Array[]>) => {
      this.#pieces.push(event.data);
      this.#stored += event.data[0]?.length ?? 0;
      if (this.#stored > TOO_MUCH * sampleRate) this.#leaveOut();
      if (this.#stored >= STORE * sampleRate) this.#plays = true;
    };
  }

  process(_inputs: Float32Array[][], [output]: Float32Array[][]): boolean {
    if (!output?.[0] || !this.#plays) return true;
    for (let sample = 0; sample < output[0].length; sample += 1) {
      const piece = this.#pieces[0];
      if (!piece?.[0]) {
        this.#plays = false;
        break;
      }
      output.forEach((plane, channel) => {
        plane[sample] = (piece[channel] ?? piece[0])?.[this.#at] ?? 0;
      });
      this.#at += 1;
      this.#stored -= 1;
      if (this.#at === piece[0].length) {
        this.#pieces.shift();
        this.#at = 0;
      }
    }
    return true;
  }

  #leaveOut(): void {
    while (this.#stored > STORE * sampleRate && this.#pieces.length > 1) {
      this.#stored -= (this.#pieces.shift()?.[0]?.length ?? 0) - this.#at;
      this.#at = 0;
    }
  }
}

registerProcessor("player", Player);
