/** noVNC, asking for a screen in this screen's own pixels, and for an answer to time. */

import RFB from "@novnc/novnc";

import { pixels } from "./density.ts";
import type { Size } from "./viewer.ts";

/** Flags of a fence: answer, when all before it has been done. */
const REQUEST = 2 ** 31 + 1;
/** What noVNC says of an answer to a fence, for it never asks. */
const ANSWERED = "Unexpected fence response";

export class Rfb extends RFB {
  // `declare`, for noVNC's constructor is done before fields would be set.
  private declare room?: () => Size;
  private declare grain?: number;
  private declare asking?: boolean;
  private declare nearer?: boolean;
  private declare before: Size | undefined;
  private declare told?: () => void;

  /**
   * Ask for the pixels of this place, now and whenever it changes.
   *
   * @param room the place, in points.
   * @param grain pixels to a point.
   */
  want(room: () => Size, grain: number): void {
    this.room = room;
    this.grain = grain;
    this._requestRemoteResize();
  }

  /** Whether the desktop answers `probe`: one that has never spoken of fences would break. */
  get answers(): boolean {
    return this._supportsFence;
  }

  /** Ask for an answer that comes behind everything that is under way. */
  probe(told: () => void): void {
    this.told = told;
    RFB.messages.clientFence(this._sock, REQUEST, "");
  }

  /** The element has another size; if the place has not, it is only looked at from nearer. */
  protected override _handleResize(): void {
    const before = this.before;
    const now = (this.before = this.room?.());
    this.nearer = now !== undefined && now.width === before?.width && now.height === before.height;
    super._handleResize();
    this.nearer = false;
  }

  protected override _requestRemoteResize(): void {
    if (this.nearer) return;
    this.asking = true;
    super._requestRemoteResize();
    this.asking = false;
  }

  protected override _screenSize(): { w: number; h: number } {
    const place = super._screenSize();
    if (!this.room || !this.grain) return place;
    const room = this.room();
    const { width, height } = pixels(room, this.grain);
    if (this.asking) return { w: width, h: height };
    if (width !== this._fbWidth || height !== this._fbHeight || !room.width) return place;
    // What was asked for is shown pixel by pixel; the part of a pixel that is left stays empty.
    const factor = place.w / room.width / this.grain;
    return { w: width * factor, h: height * factor };
  }

  protected override _fail(details: string): boolean {
    if (details !== ANSWERED || !this.told) return super._fail(details);
    this.told();
    return true;
  }
}
