/** Addresses of the console. They live in the fragment, so any file server can serve it. */

export type Route =
  | { page: "sign-in"; token: string | null; to: string | null }
  | { page: "sessions" }
  | { page: "session"; id: string; over?: string }
  | { page: "homes" }
  | { page: "agents" }
  | { page: "commands" }
  | { page: "tokens" }
  | { page: "status" }
  | { page: "unknown"; address: string };

const PLAIN = ["sessions", "homes", "agents", "commands", "tokens", "status"] as const;
type Plain = (typeof PLAIN)[number];

const isPlain = (name: string): name is Plain => (PLAIN as readonly string[]).includes(name);

/** What a fragment (with or without its `#`) asks for. Never throws. */
export function parse(fragment: string): Route {
  const address = fragment.replace(/^#?\/?/, "");
  const [path = "", query = ""] = address.split("?", 2);
  const [first = "", second = "", ...rest] = path.replace(/\/$/, "").split("/");
  if (rest.length > 0) return { page: "unknown", address };
  if (first === "" && !second) return { page: "sessions" };
  if (first === "sign-in" && !second) {
    const asked = new URLSearchParams(query);
    return { page: "sign-in", token: asked.get("token"), to: asked.get("to") };
  }
  if (first === "sessions" && second) {
    const over = new URLSearchParams(query).get("over");
    return { page: "session", id: decode(second), ...(over ? { over } : {}) };
  }
  if (isPlain(first) && !second) return { page: first };
  return { page: "unknown", address };
}

/** The fragment of a route; `parse(href(route))` is the route again. */
export function href(route: Exclude<Route, { page: "unknown" }>): string {
  switch (route.page) {
    case "sessions":
      return "#/";
    case "session": {
      const over = route.over ? `?${new URLSearchParams({ over: route.over })}` : "";
      return `#/sessions/${encodeURIComponent(route.id)}${over}`;
    }
    case "sign-in": {
      const asked = new URLSearchParams();
      if (route.token !== null) asked.set("token", route.token);
      if (route.to !== null) asked.set("to", route.to);
      return asked.size > 0 ? `#/sign-in?${asked}` : "#/sign-in";
    }
    default:
      return `#/${route.page}`;
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
