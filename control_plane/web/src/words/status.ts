/** How an installation is, as answers that a person can read. Pure. */

import type { FeedState } from "../api/feed.ts";
import type { Status } from "../api/types.ts";
import { count } from "./amounts.ts";

export interface Answer {
  name: string;
  state: "well" | "ill" | "unknown";
  said: string;
}

const sum = (amounts: Readonly<Record<string, number>>): number =>
  Object.values(amounts).reduce((total, amount) => total + amount, 0);

/**
 * @param status what the control plane said last; null: nothing yet.
 * @param trouble why it does not answer now, or null.
 */
export function answers(status: Status | null, trouble: string | null, feed: FeedState): Answer[] {
  const unknown = (name: string): Answer => ({ name, state: "unknown", said: "Looking." });
  const controlPlane: Answer = trouble
    ? { name: "Control plane", state: "ill", said: trouble }
    : status
      ? { name: "Control plane", state: "well", said: "It answers." }
      : unknown("Control plane");
  const updates: Answer = {
    name: "Live updates",
    state: feed === "live" ? "well" : feed === "lost" ? "ill" : "unknown",
    said: feed === "live" ? "This page hears of every change." : "Connecting.",
  };
  if (!status) {
    return [controlPlane, updates, ...["Agents", "Queue", "Sessions"].map(unknown)];
  }
  return [controlPlane, updates, agents(status), queue(status), sessions(status)];
}

function agents({ agents: all }: Status): Answer {
  const name = "Agents";
  const lost = all.filter((agent) => !agent.linked).map((agent) => agent.name);
  if (all.length === 0) {
    return { name, state: "ill", said: "None has joined: sessions have nowhere to run." };
  }
  if (lost.length > 0) {
    return { name, state: "ill", said: `Not connected: ${lost.join(", ")}.` };
  }
  const draining = all.filter((agent) => agent.state === "draining").length;
  const aside = draining > 0 ? `, ${draining} draining` : "";
  return { name, state: "well", said: `${count(all.length, "agent")} connected${aside}.` };
}

function queue({ queue: states }: Status): Answer {
  const waiting = sum(states);
  return {
    name: "Queue",
    state: "well",
    said: waiting > 0 ? `${count(waiting, "order")} on the way.` : "Nothing is waiting.",
  };
}

function sessions({ sessions: phases }: Status): Answer {
  const failed = phases["Failed"] ?? 0;
  const said = [
    count(sum(phases), "session"),
    `${phases["Running"] ?? 0} running`,
    ...(failed > 0 ? [`${failed} failed`] : []),
  ];
  return { name: "Your sessions", state: failed > 0 ? "ill" : "well", said: `${said.join(", ")}.` };
}
