/** What an agent has and what of it is in use, from what it said of itself. Pure. */

import { bytes } from "./amounts.ts";

export interface Use {
  name: string;
  /** "2 of 8". */
  said: string;
  /** Between 0 and 1; null: unknown. */
  share: number | null;
}

const SCALE: Readonly<Record<string, number>> = {
  "": 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** The number that a Kubernetes quantity stands for, or null if it is none. */
export function quantity(text: unknown): number | null {
  const found = /^(\d+(?:\.\d+)?)([mkMGT]|[KMGT]i)?$/.exec(String(text ?? ""));
  return found ? Number(found[1]) * (SCALE[found[2] ?? ""] ?? 1) : null;
}

function use(name: string, used: number | null, total: number | null, say: (n: number) => string) {
  if (total === null) return [];
  const said = used === null ? say(total) : `${say(used)} of ${say(total)}`;
  const share = used === null || total <= 0 ? null : Math.min(1, used / total);
  return [{ name, said, share }];
}

const plain = (amount: number): string => String(Math.round(amount * 10) / 10);

/** Lines for what is known; an agent that said nothing has none. */
export function capacity(said: Readonly<Record<string, unknown>>): Use[] {
  const part = (key: string): Record<string, unknown> => {
    const value = said[key];
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  };
  const total = part("total");
  const used = part("used");
  return [
    ...use("Sessions", quantity(said["sessions_used"]), quantity(said["sessions"]), plain),
    ...use("CPU", quantity(used["cpu"]), quantity(total["cpu"]), plain),
    ...use("Memory", quantity(used["memory"]), quantity(total["memory"]), bytes),
  ];
}
