/** Small choices of this browser, remembered where it allows that. */

/** The remembered value if it is one of `allowed`, else `otherwise`. */
export function remembered<T extends string>(
  name: string,
  allowed: readonly T[],
  otherwise: T,
): T {
  try {
    const value = localStorage.getItem(`porthole.${name}`);
    return allowed.find((one) => one === value) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function remember(name: string, value: string): void {
  try {
    localStorage.setItem(`porthole.${name}`, value);
  } catch {
    // Storage is closed to us: the choice lasts until the page is closed.
  }
}
