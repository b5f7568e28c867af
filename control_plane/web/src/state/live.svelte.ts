/** All sessions of the person who is signed in, as they are now, and news of the rest. */

import { untrack } from "svelte";
import { SvelteMap } from "svelte/reactivity";

import { BASE } from "../api/base.ts";
import { getSession, listSessions } from "../api/calls.ts";
import { Feed, type FeedState } from "../api/feed.ts";
import { asProblem, type Problem } from "../api/problem.ts";
import type { Session } from "../api/types.ts";
import { account } from "./account.svelte.ts";
import { previews } from "./previews.svelte.ts";

const KINDS = ["session", "agent", "template", "home"] as const;
/** What the live list tells of. */
export type Kind = (typeof KINDS)[number];

class Live {
  loaded = $state(false);
  problem = $state.raw<Problem | null>(null);
  feed = $state<FeedState>("connecting");
  readonly #sessions = new SvelteMap<string, Session>();
  readonly #listeners = new Set<{ kinds: readonly Kind[]; tell: () => void }>();
  #stream: Feed | null = null;

  /** The newest first. */
  get sessions(): Session[] {
    return [...this.#sessions.values()].sort((a, b) => b.created_at.localeCompare(a.created_at));
  }

  get(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  start(): void {
    if (this.#stream) return;
    void this.load();
    this.#stream = new Feed(`${BASE}/api/v1/events`, KINDS, {
      state: (state) => (this.feed = state),
      begun: () => {
        void this.load();
        for (const { tell } of this.#listeners) tell();
      },
      message: (kind, data) => {
        if (kind === "session") this.#hear(data);
        for (const { kinds, tell } of this.#listeners) {
          if (kinds.some((one) => one === kind)) tell();
        }
      },
    });
  }

  stop(): void {
    this.#stream?.close();
    this.#stream = null;
    this.#sessions.clear();
    previews.clear();
    this.loaded = false;
    this.problem = null;
    this.feed = "connecting";
  }

  /** Be told when something of these kinds has changed. Returns how to stop. */
  on(kinds: readonly Kind[], tell: () => void): () => void {
    const listener = { kinds, tell };
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async load(): Promise<void> {
    // Whoever calls this in an effect does not want to do it again at every change.
    const before = untrack(() => [...this.#sessions.values()]);
    try {
      const sessions = await listSessions();
      const listed = new Set(sessions.map((session) => session.id));
      for (const session of sessions) this.put(session);
      this.loaded = true;
      this.problem = null;
      // It ended while nobody told us.
      for (const { id, phase } of before) {
        if (!listed.has(id) && phase !== "Terminated") void this.refresh(id).catch(() => null);
      }
    } catch (thrown) {
      const problem = asProblem(thrown);
      if (problem.status === 401) account.expired();
      this.problem = problem;
    }
  }

  /** Read one session again; null if the API knows it no more. */
  async refresh(id: string): Promise<Session | null> {
    try {
      const session = await getSession(id);
      this.put(session);
      return session;
    } catch (thrown) {
      const problem = asProblem(thrown);
      if (problem.status === 404) {
        this.#sessions.delete(id);
        return null;
      }
      if (problem.status === 401) account.expired();
      throw problem;
    }
  }

  /** Take in what was said of a session, unless something newer is known. */
  put(session: Session): void {
    const known = this.#sessions.get(session.id);
    if (!known || session.version >= known.version) this.#sessions.set(session.id, session);
    if (session.phase === "Terminated") previews.forget(session.id);
  }

  #hear(data: Record<string, unknown>): void {
    if (typeof data["id"] !== "string") return;
    if (data["gone"] === true) this.#sessions.delete(data["id"]);
    else this.put(data as unknown as Session);
  }
}

export const live = new Live();
