/** What the phases and reasons of a session look like and how they are said. Pure. */

/** How a phase is painted: `busy` moves, `wait` needs somebody or something else first,
 * `lit` is a desktop that can be looked at. */
export type Tone = "lit" | "busy" | "wait" | "rest" | "bad" | "idle";

interface Look {
  tone: Tone;
  word: string;
  /** What it means, when the server gives no sentence of its own. */
  sentence: string;
}

const LOOKS: Readonly<Record<string, Look>> = {
  Pending: { tone: "busy", word: "Waiting", sentence: "Waiting for an agent to take it." },
  Starting: { tone: "busy", word: "Starting", sentence: "The desktop is being started." },
  Running: { tone: "lit", word: "Running", sentence: "The desktop is ready." },
  Hibernating: { tone: "busy", word: "Hibernating", sentence: "Going to sleep; files are kept." },
  Hibernated: { tone: "rest", word: "Hibernated", sentence: "Asleep. Its files are kept." },
  Waking: { tone: "busy", word: "Waking", sentence: "Waking up on the same files." },
  Failed: { tone: "bad", word: "Failed", sentence: "It could not be started." },
  Terminating: { tone: "busy", word: "Ending", sentence: "The desktop is being taken down." },
  Terminated: { tone: "idle", word: "Ended", sentence: "Nothing of it is running any more." },
};

const REASONS: Readonly<Record<string, string>> = {
  Accepted: "Accepted; no agent has taken it yet.",
  NoAgent: "No agent that could run it is enrolled. Add one on the Agents page.",
  AgentUnreachable: "Its agent is not connected. It goes on as soon as the agent is back.",
  AgentDraining: "Its agent takes no new sessions at the moment.",
  NoCapacity: "There is no room right now. It starts when another session ends.",
  TemplateUnknown: "No agent offers this template.",
  TemplateNotOffered: "This agent cannot run that template.",
  InstallingPackages: "The programs of its template are being installed.",
  HomeInUse: "Another session holds its home. It starts when that one ends.",
  HomeUnreachable: "Its home is on a machine that cannot be reached.",
  LimitExceeded: "It asks for more than its template allows.",
  Starting: "Its programs are starting; the screen is not painted yet.",
  Drawn: "The screen has been painted.",
  BackOff: "It stopped by itself and is started again in a moment.",
  DesktopLost: "The desktop stopped unexpectedly.",
  WindowsLost: "It was started again on its home; the open windows were lost.",
  StartFailed: "It could not be started.",
  StartTimedOut: "It was started but never showed a picture.",
  CrashLoop: "It stopped by itself too often.",
  Idle: "Nobody used it for a while.",
  LifetimeOver: "Its lifetime is over.",
  DeletedInCluster: "It was ended where it runs, not from here.",
  AgentRemoved: "Its agent was removed.",
  StartDeadlinePassed: "It could not start within the time that was allowed.",
};

/** Reasons that somebody has to do something about, or that need another event to pass. */
const STUCK = new Set([
  "NoAgent",
  "AgentUnreachable",
  "AgentDraining",
  "NoCapacity",
  "TemplateUnknown",
  "TemplateNotOffered",
  "HomeInUse",
  "HomeUnreachable",
  "LimitExceeded",
]);

/** Whether it waits for more than time. */
export const stuck = (phase: string, reason: string | null): boolean =>
  phase === "Pending" && STUCK.has(reason ?? "");

export function look(phase: string, reason: string | null = null): Look {
  const found = LOOKS[phase] ?? { tone: "idle", word: phase, sentence: "" };
  return stuck(phase, reason) ? { ...found, tone: "wait" } : found;
}

/** Why it is as it is: the server's sentence, else ours for the reason, else the phase's. */
export function why(phase: string, reason: string | null, message: string | null): string {
  const own = reason ? REASONS[reason] : undefined;
  return message?.trim() || own || look(phase).sentence;
}

/** A phase that passes by itself. */
export const passing = (phase: string): boolean => look(phase).tone === "busy";

/** The session is gone or going. */
export const ended = (phase: string): boolean => phase === "Terminating" || phase === "Terminated";

/** The verbs that make sense in a phase. */
export interface Verbs {
  open: boolean;
  hibernate: boolean;
  wake: boolean;
  end: boolean;
}

export function verbs(phase: string, desired: string): Verbs {
  const asleep = desired === "Hibernated";
  const gone = ended(phase);
  return {
    open: !gone,
    hibernate: !gone && !asleep && phase !== "Failed",
    wake: !gone && (asleep || phase === "Failed"),
    end: !gone,
  };
}
