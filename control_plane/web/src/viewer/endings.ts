/** What the end of a stream means: whether to come back, when, and what to say. Pure. */

import type { Closed } from "./viewer.ts";

/** What to do about a stream that ended.
 *
 * - `again`: a fault on the way; reconnect by ourselves
 * - `try`: it may well pass; reconnect a few times, then ask
 * - `ask`: it would be pointless or rude to come back unasked; offer a button
 * - `over`: there is nothing to come back to
 */
export interface Ending {
  then: "again" | "try" | "ask" | "over";
  code: string;
  sentence: string;
}

const CODES: Readonly<Record<number, Ending>> = {
  1000: { then: "over", code: "closed", sentence: "The connection was closed." },
  1001: { then: "again", code: "going_away", sentence: "The control plane is restarting." },
  4001: { then: "over", code: "session_ended", sentence: "The session has ended." },
  4002: { then: "over", code: "revoked", sentence: "Your right to see this desktop was withdrawn." },
  4003: { then: "ask", code: "kicked", sentence: "Somebody disconnected this viewer." },
  4004: { then: "again", code: "agent_unreachable", sentence: "The agent cannot be reached." },
  4005: { then: "try", code: "gate_refused", sentence: "The desktop refused this viewer." },
  4006: { then: "again", code: "mode_changed", sentence: "Your rights on this desktop changed." },
  4007: { then: "again", code: "ticket_invalid", sentence: "The ticket was no longer valid." },
  4008: { then: "ask", code: "protocol", sentence: "The desktop sent something unreadable." },
};

/** Names that are finer than their code. */
const NAMES: Readonly<Record<string, Ending["then"]>> = {
  // It hibernates, or is started again: its phases say the rest.
  session_not_running: "again",
  // This window slept for too long to take pictures; it is awake now.
  viewer_stalled: "again",
  too_many_viewers: "ask",
  owner_differs: "over",
};

/** How often `try` tries. */
export const TRIES = 5;

/** The meaning of a close; `name: sentence` in its reason speaks louder than its code. */
export function ending(how: Closed): Ending {
  const known = CODES[how.code] ?? {
    then: "again" as const,
    code: "network",
    sentence: "The connection was lost.",
  };
  const said = /^([a-z][a-z0-9_]*)(?:: (.+))?$/su.exec(how.reason);
  const code = said?.[1] ?? known.code;
  return { then: NAMES[code] ?? known.then, code, sentence: said?.[2] ?? known.sentence };
}

const FIRST_MS = 250;
const LONGEST_MS = 4_000;

/**
 * How long to wait before an attempt, in milliseconds.
 *
 * @param failures attempts that failed since the last picture; the first try is immediate.
 * @param random a number in [0, 1): spreads viewers that lost the same machine.
 */
export function pause(failures: number, random: number): number {
  if (failures <= 0) return 0;
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 16));
  return Math.round(ceiling * (0.5 + random / 2));
}
