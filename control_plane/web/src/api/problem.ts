/** What went wrong with a call, in a sentence and with a stable code (RFC 9457). */

export class Problem extends Error {
  override readonly name = "Problem";

  /**
   * @param status the HTTP status, or 0 when there was no answer.
   * @param code stable, for programs.
   * @param sentence for people.
   * @param retryAfter seconds to wait before it is worth trying again, if the server said so.
   */
  constructor(
    readonly status: number,
    readonly code: string,
    readonly sentence: string,
    readonly retryAfter: number | null = null,
  ) {
    super(sentence);
  }

  /** The same call may work later without anybody changing anything. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const UNREACHABLE =
  "The control plane does not answer. Check that it is running and that you are online.";

/** Read a refusal. A body that is no problem document still gives a sentence. */
export function problemOf(status: number, body: unknown, retryAfter: string | null): Problem {
  const said = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const text = (key: string): string | null => {
    const value = said[key];
    return typeof value === "string" && value.trim() ? value.trim() : null;
  };
  const seconds = Number(retryAfter);
  return new Problem(
    status,
    text("code") ?? `http_${status}`,
    text("detail") ?? text("title") ?? `The control plane answered with ${status}.`,
    retryAfter !== null && Number.isFinite(seconds) && seconds >= 0 ? seconds : null,
  );
}

/** Turn whatever was thrown into a Problem: ours stays, a failed fetch is "unreachable". */
export function asProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  if (thrown instanceof TypeError) return new Problem(0, "unreachable", UNREACHABLE);
  return new Problem(0, "unexpected", thrown instanceof Error ? thrown.message : String(thrown));
}
