/** The calls of the API, one function each. Every one rejects with a `Problem`. */

import createClient from "openapi-fetch";

import { BASE } from "./base.ts";
import { asProblem, problemOf } from "./problem.ts";
import type { paths } from "./schema.d.ts";
import type {
  Agent,
  Command,
  Home,
  JoinToken,
  Me,
  NewSession,
  Session,
  SessionEvent,
  Status,
  Template,
  Ticket,
  Token,
  TokenCreated,
} from "./types.ts";

const api = createClient<paths>({ baseUrl: BASE });

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

async function answer<T>(asked: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await asked.catch((thrown: unknown) => {
    throw asProblem(thrown);
  });
  if (!response.ok) {
    throw problemOf(response.status, error, response.headers.get("retry-after"));
  }
  return data as T;
}

interface Page<T> {
  items: T[];
  next: string | null;
}

const LIMIT = 200;
/** More than this of anything is for the command line. */
const MOST = 2_000;

/** All items of a list, page by page. */
async function every<T>(ask: (cursor?: string) => Promise<Answer<Page<T>>>): Promise<T[]> {
  const items: T[] = [];
  let next: string | null = null;
  do {
    const page: Page<T> = await answer(ask(next ?? undefined));
    items.push(...page.items);
    next = page.next;
  } while (next !== null && items.length < MOST);
  return items;
}

const paged = (cursor: string | undefined) => ({
  limit: LIMIT,
  ...(cursor === undefined ? {} : { cursor }),
});

const ofSession = (id: string) => ({ path: { session_id: id } });

// -- people

export const signIn = (token: string): Promise<Me> =>
  answer(api.POST("/api/v1/sign-in", { body: { token } }));

export const signOut = async (): Promise<void> => {
  await answer(api.POST("/api/v1/sign-out"));
};

export const whoAmI = (): Promise<Me> => answer(api.GET("/api/v1/me"));

export const listTokens = (): Promise<Token[]> =>
  every((cursor) => api.GET("/api/v1/tokens", { params: { query: paged(cursor) } }));

export const createToken = (name: string): Promise<TokenCreated> =>
  answer(api.POST("/api/v1/tokens", { body: { name } }));

export const revokeToken = async (id: string): Promise<void> => {
  await answer(api.DELETE("/api/v1/tokens/{token_id}", { params: { path: { token_id: id } } }));
};

// -- sessions

export const listSessions = (): Promise<Session[]> =>
  every((cursor) => api.GET("/api/v1/sessions", { params: { query: paged(cursor) } }));

/** The newest sessions that have ended. */
export const listEnded = async (): Promise<Session[]> => {
  const query = { ended: true, phase: "Terminated" as const, limit: 50 };
  return (await answer(api.GET("/api/v1/sessions", { params: { query } }))).items;
};

export const getSession = (id: string): Promise<Session> =>
  answer(api.GET("/api/v1/sessions/{session_id}", { params: ofSession(id) }));

/** @param key makes the same call, sent again, the same session. */
export const createSession = (wanted: NewSession, key: string): Promise<Session> =>
  answer(
    api.POST("/api/v1/sessions", {
      params: { header: { "Idempotency-Key": key } },
      body: wanted,
    }),
  );

export const setDesired = (id: string, desired: Session["desired"]): Promise<Session> =>
  answer(
    api.PATCH("/api/v1/sessions/{session_id}", { params: ofSession(id), body: { desired } }),
  );

/** Have its things so large: now, and whenever it starts again. */
export async function setScale(id: string, percent: number): Promise<Session> {
  const params = ofSession(id);
  const display = { scale: percent };
  const session = await answer(
    api.PATCH("/api/v1/sessions/{session_id}", { params, body: { display } }),
  );
  if (session.phase === "Running") {
    const actions = [{ type: "scale" as const, percent }];
    await answer(api.POST("/api/v1/sessions/{session_id}/input", { params, body: { actions } }));
  }
  return session;
}

export const endSession = (id: string): Promise<Session> =>
  answer(api.DELETE("/api/v1/sessions/{session_id}", { params: ofSession(id) }));

export const sessionEvents = (id: string): Promise<SessionEvent[]> =>
  every((cursor) =>
    api.GET("/api/v1/sessions/{session_id}/events", {
      params: { ...ofSession(id), query: paged(cursor) },
    }),
  );

export const ticket = (
  id: string,
  mode: "control" | "view",
  channel: string,
  replaces?: string,
): Promise<Ticket> =>
  answer(
    api.POST("/api/v1/sessions/{session_id}/tickets", {
      params: ofSession(id),
      body: { mode, channel, ...(replaces ? { replaces } : {}) },
    }),
  );

// Bytes, which the client made of the API's description does not carry.
async function picture(id: string, method: "GET" | "PUT", body?: Blob): Promise<Response> {
  const address = `${BASE}/api/v1/sessions/${id}/clipboard${body ? "" : "?kind=picture"}`;
  const carried = body ? { body, headers: { "Content-Type": "image/png" } } : {};
  const response = await fetch(address, { method, ...carried }).catch((thrown: unknown) => {
    throw asProblem(thrown);
  });
  if (response.ok) return response;
  const said: unknown = await response.json().catch(() => null);
  throw problemOf(response.status, said, response.headers.get("retry-after"));
}

/** The picture on a desktop's clipboard; null: there is none. */
export async function takePicture(id: string): Promise<Blob | null> {
  const response = await picture(id, "GET");
  return response.status === 204 ? null : response.blob();
}

export const givePicture = async (id: string, png: Blob): Promise<void> =>
  void (await picture(id, "PUT", png));

// -- templates, homes

export const listTemplates = (): Promise<Template[]> =>
  every((cursor) => api.GET("/api/v1/templates", { params: { query: paged(cursor) } }));

export const getTemplate = (name: string): Promise<Template> =>
  answer(api.GET("/api/v1/templates/{name}", { params: { path: { name } } }));

export const listHomes = (): Promise<Home[]> =>
  every((cursor) => api.GET("/api/v1/homes", { params: { query: paged(cursor) } }));

export const renameHome = (id: string, name: string): Promise<Home> =>
  answer(
    api.PATCH("/api/v1/homes/{home_id}", { params: { path: { home_id: id } }, body: { name } }),
  );

export const deleteHome = async (id: string): Promise<void> => {
  await answer(api.DELETE("/api/v1/homes/{home_id}", { params: { path: { home_id: id } } }));
};

// -- agents, commands, all of it

export const getStatus = (): Promise<Status> => answer(api.GET("/api/v1/status"));

export const listAgents = (): Promise<Agent[]> =>
  every((cursor) => api.GET("/api/v1/agents", { params: { query: paged(cursor) } }));

export const drainAgent = (id: string, draining: boolean): Promise<Agent> =>
  answer(
    api.PATCH("/api/v1/agents/{agent_id}", {
      params: { path: { agent_id: id } },
      body: { draining },
    }),
  );

export const revokeAgent = async (id: string): Promise<void> => {
  await answer(api.DELETE("/api/v1/agents/{agent_id}", { params: { path: { agent_id: id } } }));
};

export const createJoinToken = (name: string): Promise<JoinToken> =>
  answer(api.POST("/api/v1/agents/join-tokens", { body: { name } }));

/** The newest commands. */
export const listCommands = async (): Promise<Command[]> =>
  (await answer(api.GET("/api/v1/commands", { params: { query: { limit: 100 } } }))).items;
