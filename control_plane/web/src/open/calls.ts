/** What the page asks of `porthole open`, which serves it. Every call rejects with a `Problem`. */

import { Problem, problemOf } from "../api/problem.ts";
import type { Mode } from "../viewer/viewer.ts";
import type { Desktop, Ticket } from "../viewer/way.ts";

/** What is looked at, and what may be done here. */
export interface Shown {
  session: Desktop;
  /** Over which it is seen, the usual one first. */
  protocols: readonly string[];
  watch_only: boolean;
}

const SILENT =
  "`porthole open` does not answer any more. Run it again in its terminal to come back.";
const KEY = "porthole.open";

/** The right to ask. It survives a reload, in this tab alone. */
let key = sessionStorage.getItem(KEY);

async function call<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (key) headers["Authorization"] = `Bearer ${key}`;
  const asked: RequestInit = { method, headers, cache: "no-store" };
  if (body !== undefined) asked.body = JSON.stringify(body);
  const response = await fetch(new URL(path, document.baseURI), asked).catch(() => {
    throw new Problem(0, "unreachable", SILENT);
  });
  const said: unknown = await response.json().catch(() => null);
  if (!response.ok) throw problemOf(response.status, said, null);
  return said as T;
}

/** Use the link's secret, which is good once. */
export async function redeem(secret: string): Promise<void> {
  key = (await call<{ key: string }>("POST", "sign-in", { secret })).key;
  sessionStorage.setItem(KEY, key);
}

export const look = (): Promise<Shown> => call("GET", "session");

export const ticket = (mode: Mode, channel: string, replaces?: string): Promise<Ticket> =>
  call("POST", "tickets", { mode, channel, ...(replaces ? { replaces } : {}) });
