/** Amounts, as a person says them. */

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"] as const;

/** "0 B", "12 KB", "3.4 GB"; steps of 1000. */
export function bytes(amount: number): string {
  let value = Math.max(0, amount);
  let step = 0;
  while (value >= 999.5 && step < UNITS.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${value < 10 && step > 0 ? value.toFixed(1) : Math.round(value)} ${UNITS[step]}`;
}

/** "1 session", "3 sessions". */
export function count(amount: number, one: string, many = `${one}s`): string {
  return `${amount} ${amount === 1 ? one : many}`;
}
