/** noVNC, asking for a screen in this screen's own pixels, and for an answer to time. */

import RFB from "@novnc/novnc";

import type { Size } from "./viewer.ts";

/** Flags of a fence: answer, when all before it has been done. */
const REQUEST = 2 ** 31 + 1;
/** What noVNC says of an answer to a fence, for it never asks. */
const ANSWERED = "Unexpected fence response";

export class Rfb extends RFB {
  // `declare`, for noVNC's constructor is done before fields would be set.
  private declare wanted?: () => Size;
  private declare asking?: boolean;
  private declare told?: () => void;

  /** Ask for the size that `wanted` says, now and when the window changes; it is in pixels. */
  want(wanted: () => Size): void {
    this.wanted = wanted;
    this._requestRemoteResize();
  }

  /** Ask for an answer that comes behind everything that is under way. */
  probe(told: () => void): void {
    this.told = told;
    RFB.messages.clientFence(this._sock, REQUEST, "");
  }

  protected override _requestRemoteResize(): void {
    this.asking = true;
    super._requestRemoteResize();
    this.asking = false;
  }

  protected override _screenSize(): { w: number; h: number } {
    if (!this.asking || !this.wanted) return super._screenSize();
    const { width, height } = this.wanted();
    return { w: width, h: height };
  }

  protected override _fail(details: string): boolean {
    if (details !== ANSWERED || !this.told) return super._fail(details);
    this.told();
    return true;
  }
}
