/** Which home a new session gets when nobody says which. Pure. */

interface Holding {
  home: string | null;
  phase: string;
}

/**
 * The first of `desktop`, `desktop-2`, `desktop-3`, … that no living session uses: the files
 * of the last session are there again, and two sessions never wait for one another.
 *
 * @param taken names of homes that cannot be used for another reason (being deleted).
 */
export function freeHome(
  template: string,
  sessions: readonly Holding[],
  taken: ReadonlySet<string> = new Set(),
): string {
  const used = new Set(taken);
  for (const session of sessions) {
    if (session.home !== null && session.phase !== "Terminated") used.add(session.home);
  }
  let name = template;
  for (let number = 2; used.has(name); number += 1) name = `${template}-${number}`;
  return name;
}
