/** The way from a click to a desktop, as a list that fills up. Pure. */

import { stuck, why } from "./phases.ts";

export type StepState = "done" | "now" | "ahead" | "stuck";

export interface Step {
  name: string;
  state: StepState;
  /** One sentence, on the step where we are. */
  note: string;
}

export interface Progressing {
  phase: string;
  reason: string | null;
  message: string | null;
  agent: string | null;
  home: string | null;
}

/**
 * The steps of a session that is on its way to a picture.
 *
 * @param connecting the session runs, and the viewer is opening.
 */
export function steps(session: Progressing, connecting: boolean): Step[] {
  const { phase, reason } = session;
  const waking = phase === "Waking";
  const names = [
    waking ? "Asked to wake" : "Accepted",
    place(session),
    waking ? "Wake the desktop" : "Start the desktop",
    "Open the picture",
  ];
  const at = connecting || phase === "Running" ? 3 : phase === "Pending" ? 1 : 2;
  const note = at === 3 ? "Connecting to the screen." : reasonFor(session);
  const halted = phase === "Failed" || stuck(phase, reason);
  return names.map((name, index) => {
    if (index < at) return { name, state: "done", note: "" };
    if (index > at) return { name, state: "ahead", note: "" };
    return { name, state: halted ? "stuck" : "now", note };
  });
}

function place({ phase, agent }: Progressing): string {
  if (agent === null) return "Find a place to run";
  return phase === "Pending" ? `Hand it to ${agent}` : `Placed on ${agent}`;
}

/** Its reason in words; "accepted" alone would say nothing once an agent has been found. */
function reasonFor({ phase, reason, message, agent }: Progressing): string {
  if (phase === "Pending" && reason === "Accepted" && agent !== null && !message) {
    return `${agent} is about to begin.`;
  }
  return why(phase, reason, message);
}
