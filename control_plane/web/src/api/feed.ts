/**
 * The live list: server-sent events that survive lost connections.
 *
 * The browser reconnects by itself and says where it was (`Last-Event-ID`); the server goes
 * on from there, or says `reset` when it cannot. What the browser does not do is come back
 * after an answer that is no stream (the control plane restarting behind a proxy): then we
 * open a new one, which begins at the present, and the lists have to be read again.
 */

export type FeedState = "connecting" | "live" | "lost";

export interface FeedEvents {
  state(state: FeedState): void;
  /** From here on every change is told; what was before has to be read. */
  begun(): void;
  message(kind: string, data: Record<string, unknown>): void;
}

const LONGEST_MS = 5_000;
/** The server says `ping` every ten seconds when it has nothing else to say. Once it has, a
 * longer silence is a dead line that the browser has not noticed (a laptop that was asleep). */
const SILENCE_MS = 25_000;

export class Feed {
  #source: EventSource | null = null;
  #failures = 0;
  #pings = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly url: string,
    private readonly kinds: readonly string[],
    private readonly events: FeedEvents,
  ) {
    addEventListener("online", this.#again);
    this.#open();
  }

  close(): void {
    removeEventListener("online", this.#again);
    clearTimeout(this.#retry);
    clearTimeout(this.#watch);
    this.#source?.close();
    this.#source = null;
  }

  readonly #again = (): void => {
    if (this.#source?.readyState !== EventSource.OPEN) this.#open();
  };

  #open(): void {
    clearTimeout(this.#retry);
    this.#source?.close();
    const source = new EventSource(this.url);
    this.#source = source;
    let begun = false;
    source.addEventListener("hello", () => {
      this.#alive();
      if (!begun) this.events.begun();
      begun = true;
    });
    source.addEventListener("reset", () => {
      this.#alive();
      this.events.begun();
    });
    source.addEventListener("ping", () => {
      this.#pings = true;
      this.#alive();
    });
    source.onopen = () => this.#alive();
    source.onerror = () => {
      this.events.state("lost");
      if (source.readyState === EventSource.CLOSED) this.#later();
    };
    for (const kind of this.kinds) {
      source.addEventListener(kind, (event: MessageEvent<string>) => {
        this.#alive();
        const data = parse(event.data);
        if (data) this.events.message(kind, data);
      });
    }
  }

  #alive(): void {
    this.#failures = 0;
    this.events.state("live");
    clearTimeout(this.#watch);
    if (!this.#pings) return;
    this.#watch = setTimeout(() => {
      this.events.state("lost");
      this.#open();
    }, SILENCE_MS);
  }

  #later(): void {
    clearTimeout(this.#watch);
    clearTimeout(this.#retry);
    const wait = Math.min(LONGEST_MS, 300 * 2 ** Math.min(this.#failures, 8));
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#open(), wait * (0.5 + Math.random() / 2));
  }
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const data: unknown = JSON.parse(text);
    return typeof data === "object" && data !== null ? (data as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
