/** Who is signed in at this browser. */

import { signIn, signOut, whoAmI } from "../api/calls.ts";
import { asProblem, type Problem } from "../api/problem.ts";
import type { Me, Scope } from "../api/types.ts";

class Account {
  /** undefined until we know; null: nobody. */
  me = $state.raw<Me | null | undefined>(undefined);
  /** Why we could not find out. */
  problem = $state.raw<Problem | null>(null);

  async look(): Promise<void> {
    this.problem = null;
    try {
      this.me = await whoAmI();
    } catch (thrown) {
      const problem = asProblem(thrown);
      if (problem.status === 401) this.me = null;
      else this.problem = problem;
    }
  }

  async signIn(token: string): Promise<void> {
    this.me = await signIn(token);
  }

  async signOut(): Promise<void> {
    await signOut();
    this.me = null;
  }

  /** A call was answered with 401: the cookie is no longer worth anything. */
  expired(): void {
    this.me = null;
  }

  /** Whether they may do what this scope stands for; the API decides, this hides buttons. */
  may(scope: Scope): boolean {
    const forAdministrators = scope === "agents" || scope === "templates";
    return !!this.me?.scopes.includes(scope) && (this.me.is_admin || !forAdministrators);
  }
}

export const account = new Account();
