/** Short notes at the edge of the screen: what was done, or why it was not. */

export interface Toast {
  id: number;
  tone: "done" | "problem";
  text: string;
}

const LASTS_MS = { done: 4_000, problem: 9_000 } as const;

class Toasts {
  list = $state<Toast[]>([]);
  #next = 1;

  done(text: string): void {
    this.#show("done", text);
  }

  problem(text: string): void {
    this.#show("problem", text);
  }

  dismiss(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }

  #show(tone: Toast["tone"], text: string): void {
    const id = this.#next++;
    this.list = [...this.list.filter((toast) => toast.text !== text), { id, tone, text }].slice(-3);
    setTimeout(() => this.dismiss(id), LASTS_MS[tone]);
  }
}

export const toasts = new Toasts();
