/**
 * Samples of any rate as pieces of 20 ms at a lower one, of 16 bits. Pure.
 *
 * Each new sample is the mean of those that it stands for: enough for speech, and what a browser
 * does by itself for a context of another rate than its microphone's (Firefox refuses that).
 */
export class Pieces {
  readonly #from: number;
  readonly #to: number;
  #piece: Int16Array<ArrayBuffer>;
  #at = 0;
  #phase = 0;
  #sum = 0;
  #count = 0;

  /** Both rates in samples a second; `to` is not above `from`. */
  constructor(from: number, to: number) {
    this.#from = from;
    this.#to = to;
    this.#piece = new Int16Array(to / 50);
  }

  /** Take samples between -1 and 1; return the pieces that are whole now. */
  take(samples: Iterable<number>): Int16Array<ArrayBuffer>[] {
    const whole: Int16Array<ArrayBuffer>[] = [];
    for (const sample of samples) {
      this.#sum += sample;
      this.#count += 1;
      this.#phase += this.#to;
      if (this.#phase < this.#from) continue;
      this.#phase -= this.#from;
      this.#piece[this.#at] = Math.max(-1, Math.min(1, this.#sum / this.#count)) * 0x7fff;
      this.#sum = this.#count = 0;
      this.#at += 1;
      if (this.#at === this.#piece.length) {
        whole.push(this.#piece);
        this.#piece = new Int16Array(this.#piece.length);
        this.#at = 0;
      }
    }
    return whole;
  }
}
