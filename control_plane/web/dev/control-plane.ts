/**
 * A scripted control plane for `npm run dev`: a session in every phase, a desktop that moves,
 * and nothing behind it. It is for looking at the console; tests talk to the real one.
 *
 * `/dev/drop` cuts all streams, as a lost network does.
 */

import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

import type { Plugin } from "vite";
import { WebSocketServer, type WebSocket } from "ws";

import type {
  Agent,
  Command,
  Home,
  Me,
  Session,
  SessionEvent,
  Status,
  Template,
  Token,
} from "../src/api/types.ts";
import { serveDesktop } from "./desktop.ts";

const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();

const ADMIN: Me = {
  id: randomUUID(),
  name: "admin",
  is_admin: true,
  scopes: ["read", "sessions", "connect", "templates", "agents", "tokens"],
};
const HERE = randomUUID();
const ATTIC = randomUUID();

function session(name: string, template: string, more: Partial<Session> = {}): Session {
  return {
    id: randomUUID(),
    name,
    owner: "admin",
    foreign_owner: null,
    queue_place: null,
    origin: "api",
    template,
    template_revision: 1,
    protocol: "vnc",
    agent: "this-machine",
    agent_id: HERE,
    home: template,
    home_id: null,
    desired: "Running",
    order: 1,
    reported_order: 1,
    phase: "Running",
    reason: "Drawn",
    message: "",
    conditions: [],
    viewers: 0,
    restarts: 0,
    labels: {},
    created_at: ago(4000),
    updated_at: ago(3990),
    started_at: ago(3990),
    last_activity_at: ago(30),
    ended_at: null,
    version: 1,
    spec: { owner: "admin", template } as Session["spec"],
    ...more,
  };
}

const running = session("calm-otter", "desktop", { viewers: 1, created_at: ago(7300) });
const sessions = new Map<string, Session>();
for (const one of [
  running,
  session("research", "browser", {
    phase: "Hibernated",
    desired: "Hibernated",
    reason: "Idle",
    created_at: ago(90_000),
    home: "research",
  }),
  session("quick-heron", "desktop", {
    phase: "Pending",
    reason: "NoCapacity",
    agent: null,
    started_at: null,
    created_at: ago(50),
    home: "desktop-2",
  }),
  session("paper", "browser", {
    phase: "Failed",
    reason: "StartFailed",
    message:
      "Chromium is not installed on this-machine. Run ./porthole up --with browser there.",
    created_at: ago(400),
  }),
  session("old-one", "desktop", { phase: "Terminated", reason: "Requested", ended_at: ago(300) }),
]) {
  sessions.set(one.id, one);
}

function template(name: string, title: string, description: string, here: boolean): Template {
  const message = here ? "" : "Chromium is not installed on this-machine.";
  return {
    name,
    title,
    description,
    icon: null,
    revision: 1,
    digest: "0".repeat(64),
    protocols: ["vnc"],
    source: "agent",
    available: here,
    message,
    offers: [
      { agent_id: HERE, agent: "this-machine", offered: here, message },
      { agent_id: ATTIC, agent: "attic", offered: true, message: "" },
    ],
    updated_at: ago(90_000),
    spec: {
      title,
      programs: [{ name: "Web", command: ["chromium", "{start}"] }],
    } as Template["spec"],
  };
}

const templates = [
  template(
    "desktop",
    "Desktop",
    "A light desktop with a terminal, an editor and a file manager. Good for everyday work.",
    true,
  ),
  template(
    "browser",
    "Browser",
    "The same desktop with Chromium, away from your own machine.",
    false,
  ),
];

function home(name: string, size: number, holder: string | null): Home {
  return {
    id: randomUUID(),
    name,
    owner: "admin",
    agent: "this-machine",
    agent_id: HERE,
    size_bytes: size,
    used_bytes: size / 3,
    holder,
    deleting: false,
    created_at: ago(900_000),
    updated_at: ago(900),
  };
}
const homes = [home("desktop", 10_737_418_240, running.id), home("research", 5_368_709_120, null)];

function token(name: string, kind: string): Token {
  return {
    id: randomUUID(),
    name,
    user: "admin",
    kind,
    scopes: ["read", "sessions", "connect"],
    created_at: ago(400_000),
    expires_at: null,
    last_used_at: ago(70),
  };
}
const tokens = [token("laptop", "token"), token("Chromium on Linux", "cookie")];

function agent(id: string, name: string, linked: boolean): Agent {
  return {
    id,
    name,
    state: "enrolled",
    linked,
    runtime: "local",
    runtime_uid: randomUUID(),
    version: "porthole 0.1.0",
    labels: {},
    capacity: linked
      ? {
          sessions: 8,
          sessions_used: 2,
          total: { cpu: "2", memory: "16Gi" },
          used: { cpu: "500m", memory: "3Gi" },
        }
      : {},
    conditions: [],
    epoch: 3,
    enrolled_by: "admin",
    created_at: ago(900_000),
    linked_at: linked ? ago(9000) : null,
    last_seen_at: ago(linked ? 2 : 5000),
  };
}
const agents = [agent(HERE, "this-machine", true), agent(ATTIC, "attic", false)];

const STATES = ["succeeded", "sent", "pending", "failed"] as const;
const commands = STATES.map(
  (state, index): Command => ({
    id: randomUUID(),
    agent: "this-machine",
    agent_id: HERE,
    subject_kind: "session",
    subject_id: [...sessions.keys()][index] ?? "",
    sequence: 1,
    order: 1,
    kind: state === "failed" ? "DeleteSession" : "ApplySession",
    state,
    attempts: index,
    next_attempt_at: ago(0),
    deadline: null,
    epoch: 3,
    last_error: state === "failed" ? "The agent does not offer this template." : null,
    created_at: ago(60 * index + 5),
    sent_at: null,
    finished_at: null,
  }),
);

const stories = new Map<string, SessionEvent[]>();
const listeners = new Set<ServerResponse>();
const streams = new Set<WebSocket>();
let cursor = 0;

function tell(event: string, data: unknown): void {
  cursor += 1;
  for (const listener of listeners) {
    listener.write(`id: 1-${cursor}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }
}

function change(one: Session, to: Partial<Session>): void {
  Object.assign(one, to, { version: one.version + 1, updated_at: ago(0) });
  const story = stories.get(one.id) ?? [];
  const { phase, reason, message } = one;
  story.push({ id: story.length + 1, at: ago(0), kind: "PhaseChanged", phase, reason, message });
  stories.set(one.id, story);
  tell("session", one);
}

function script(one: Session, steps: [number, Partial<Session>][]): void {
  for (const [after, to] of steps) setTimeout(() => change(one, to), after);
}

function begin(one: Session): void {
  script(one, [
    [0, { phase: "Pending", reason: "Accepted", message: "" }],
    [900, { agent: "this-machine", agent_id: HERE }],
    [1800, { phase: "Starting", reason: "Starting", started_at: ago(0) }],
    [5200, { phase: "Running", reason: "Drawn" }],
  ]);
}

function want(one: Session, desired: Session["desired"]): void {
  const failed = one.phase === "Failed";
  change(one, { desired });
  if (desired === "Hibernated") {
    script(one, [
      [200, { phase: "Hibernating", reason: "Requested" }],
      [1600, { phase: "Hibernated" }],
    ]);
  } else if (failed) {
    begin(one);
  } else {
    script(one, [
      [200, { phase: "Waking", reason: "Requested" }],
      [2500, { phase: "Running", reason: "Drawn" }],
    ]);
  }
}

const STATUS: Status = {
  version: "0.1.0",
  instance: randomUUID(),
  url: "http://127.0.0.1:8080",
  sessions: { Running: 1, Hibernated: 1, Pending: 1, Failed: 1 },
  queue: { pending: 1, sent: 1 },
  agents: agents.map(({ name, state, linked }) => ({ name, state, linked })),
};

interface Body {
  token?: string;
  template: string;
  home: string | null;
  desired: Session["desired"];
  name: string;
  draining?: boolean;
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = (chunks.length ? JSON.parse(Buffer.concat(chunks).toString()) : {}) as Body;
  const url = new URL(request.url ?? "/", "http://localhost");
  const [noun = "", id = "", verb = ""] = url.pathname.replace(/^\//, "").split("/");
  const call = `${request.method} ${noun}`;

  const say = (status: number, value?: unknown) => {
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(value === undefined ? undefined : JSON.stringify(value));
  };
  const page = (items: unknown[]) => say(200, { items, next: null });
  const refuse = (status: number, code: string, detail: string) => say(status, { code, detail });

  if (noun === "sign-in") {
    if (body.token === "wrong") return refuse(401, "unauthenticated", "Nobody has this token.");
    response.setHeader("Set-Cookie", "dev=1; HttpOnly; SameSite=Strict; Path=/");
    return say(200, ADMIN);
  }
  if (!request.headers.cookie?.includes("dev=1")) {
    return refuse(401, "unauthenticated", "Sign in first.");
  }
  if (noun === "sign-out") {
    response.setHeader("Set-Cookie", "dev=; Max-Age=0; Path=/");
    return say(204);
  }
  if (noun === "me") return say(200, ADMIN);
  if (noun === "status") return say(200, STATUS);
  if (noun === "events") {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(`id: 1-${cursor}\nevent: hello\ndata: {}\n\n`);
    listeners.add(response);
    request.on("close", () => listeners.delete(response));
    return;
  }

  if (noun === "sessions") {
    if (!id && request.method === "POST") {
      const made = session(`brisk-${sessions.size}`, body.template, {
        phase: "Pending",
        reason: "Accepted",
        agent: null,
        started_at: null,
        created_at: ago(0),
        home: body.home,
      });
      sessions.set(made.id, made);
      begin(made);
      return say(202, made);
    }
    if (!id) {
      const ended = url.searchParams.get("ended") === "true";
      return page([...sessions.values()].filter((one) => (one.phase === "Terminated") === ended));
    }
    const one = sessions.get(id);
    if (!one) return refuse(404, "not_found", "There is no such session.");
    if (verb === "events") return page(stories.get(id) ?? []);
    if (verb === "tickets") {
      const text = randomUUID();
      return say(201, { ticket: text, url: `/api/v1/streams/${text}`, expires_at: ago(-15) });
    }
    if (request.method === "PATCH") want(one, body.desired);
    if (request.method === "DELETE") {
      change(one, { phase: "Terminating", reason: "Requested" });
      script(one, [[1500, { phase: "Terminated", ended_at: ago(0) }]]);
    }
    return say(200, one);
  }

  if (call === "POST tokens") {
    const made = { ...token(body.name, "token"), last_used_at: null, created_at: ago(0) };
    tokens.unshift(made);
    return say(201, { ...made, token: `pht_${made.id.replaceAll("-", "")}_${"5f3a9c1e".repeat(8)}` });
  }
  if (call === "POST agents") {
    return say(201, {
      id: randomUUID(),
      name: body.name,
      expires_at: ago(-3600),
      token: `phj_${"2b".repeat(16)}_${"8e".repeat(32)}.${"5f3a9c1e".repeat(8)}`,
      url: "https://10.0.0.5:8443",
      fingerprint: "5f3a9c1e".repeat(8),
    });
  }
  const lists: Record<string, { id?: string; name?: string }[]> = { templates, homes, tokens, agents, commands };
  const list = lists[noun];
  if (!list) return refuse(404, "not_found", "There is nothing here.");
  if (!id) return page(list);
  const item = list.find((entry) => entry.id === id);
  if (!item) return refuse(404, "not_found", "There is no such thing.");
  if (request.method === "DELETE") {
    list.splice(list.indexOf(item), 1);
    return say(204);
  }
  Object.assign(item, body);
  if ("draining" in body) Object.assign(item, { state: body.draining ? "draining" : "enrolled" });
  return say(200, item);
}

export function scriptedControlPlane(): Plugin {
  return {
    name: "scripted-control-plane",
    configureServer(server) {
      const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "binary" });
      server.httpServer?.on("upgrade", (request, socket, head) => {
        if (!request.url?.startsWith("/api/v1/streams/")) return;
        sockets.handleUpgrade(request, socket, head, (stream) => {
          streams.add(stream);
          stream.on("close", () => streams.delete(stream));
          serveDesktop(stream);
        });
      });
      server.middlewares.use("/dev/drop", (_request, response) => {
        for (const stream of streams) stream.terminate();
        response.end("cut\n");
      });
      server.middlewares.use("/api/v1/", (request, response) => {
        answer(request, response).catch((error: unknown) => {
          response.writeHead(500);
          response.end(String(error));
        });
      });
    },
  };
}
