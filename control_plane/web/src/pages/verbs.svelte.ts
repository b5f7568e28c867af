/** What a person does with a session, from wherever it is listed. */

import { endSession, setDesired } from "../api/calls.ts";
import { asProblem } from "../api/problem.ts";
import type { Session } from "../api/types.ts";
import { account } from "../state/account.svelte.ts";
import { live } from "../state/live.svelte.ts";
import { toasts } from "../state/toasts.svelte.ts";

/** Say what should be; the list shows how it becomes so. Problems are told in a note. */
export async function want(session: Session, desired: "Running" | "Hibernated"): Promise<void> {
  try {
    live.put(await setDesired(session.id, desired));
  } catch (thrown) {
    const problem = asProblem(thrown);
    if (problem.status === 401) account.expired();
    else toasts.problem(problem.sentence);
  }
}

/** End it; rejects with a Problem. One that is gone already counts as ended. */
export async function end(session: Session): Promise<void> {
  try {
    await endSession(session.id);
  } catch (thrown) {
    const problem = asProblem(thrown);
    if (problem.status !== 404) throw problem;
  }
  await live.refresh(session.id).catch(() => null);
}
