/** The lines of a session's story. Pure. */

import { look, type Tone } from "./phases.ts";

interface Line {
  kind: string;
  phase: string | null;
  reason: string;
}

const WORDS: Readonly<Record<string, string>> = {
  Assigned: "Placed",
  Adopted: "Taken over",
  Resent: "Sent again",
  Taken: "Held by its runtime",
  StreamOpened: "Somebody looks",
  StreamClosed: "A viewer left",
  StreamRefused: "A viewer was refused",
};

/** What happens to orders on their way, and who looks: no news of the phase it is in. */
const ASIDE = new Set(["Changed", "Queued", "Sent", "Taken", "StreamOpened", "StreamClosed"]);
const SLOWED = new Set(["Resent", "Superseded", "Expired"]);

/** "WindowsLost" as "Windows lost". */
export function words(name: string): string {
  const apart = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  return apart.charAt(0).toUpperCase() + apart.slice(1);
}

/** What a line is about, in a word or two: the new phase, or what was done. */
export function headline({ kind, phase }: Line): string {
  if (kind === "PhaseChanged" && phase !== null) return look(phase).word;
  return WORDS[kind] ?? words(kind);
}

/** The colour of a line: its phase's, if it is about a change of phase. */
export function tone({ kind, phase, reason }: Line): Tone {
  if (kind === "Refused" || kind === "StreamRefused") return "bad";
  if (SLOWED.has(kind)) return "wait";
  return phase === null || ASIDE.has(kind) ? "idle" : look(phase, reason).tone;
}
