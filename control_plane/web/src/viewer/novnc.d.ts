/** The part of noVNC 1.7 that `vnc.ts` uses (its docs/API.md). */
declare module "@novnc/novnc" {
  export interface RfbEvents {
    connect: CustomEvent<Record<string, never>>;
    disconnect: CustomEvent<{ clean: boolean }>;
    clipboard: CustomEvent<{ text: string }>;
    securityfailure: CustomEvent<{ status: number; reason?: string }>;
    credentialsrequired: CustomEvent<{ types: string[] }>;
    bell: CustomEvent<Record<string, never>>;
  }

  export default class RFB {
    constructor(target: HTMLElement, channel: WebSocket, options?: { shared?: boolean });
    background: string;
    clipViewport: boolean;
    compressionLevel: number;
    focusOnClick: boolean;
    qualityLevel: number;
    resizeSession: boolean;
    scaleViewport: boolean;
    showDotCursor: boolean;
    viewOnly: boolean;
    addEventListener<K extends keyof RfbEvents>(type: K, tell: (event: RfbEvents[K]) => void): void;
    clipboardPasteFrom(text: string): void;
    disconnect(): void;
    focus(options?: FocusOptions): void;
    sendKey(keysym: number, code: string, down?: boolean): void;

    // Its own, not in docs/API.md: `rfb.ts` stands on them, and the version is pinned for that.
    static readonly messages: {
      clientFence(socket: unknown, flags: number, payload: string): void;
    };
    protected readonly _sock: unknown;
    protected readonly _supportsFence: boolean;
    protected readonly _fbWidth: number;
    protected readonly _fbHeight: number;
    protected _screenSize(): { w: number; h: number };
    protected _handleResize(): void;
    protected _requestRemoteResize(): void;
    protected _fail(details: string): boolean;
  }
}
