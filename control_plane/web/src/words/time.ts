/** Times and lengths of time, as a person says them. Pure: the present is an argument. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "just now", "4 min ago", "in 2 h", "yesterday"; a date when it is over a month away. */
export function relative(then: number, now: number): string {
  const seconds = Math.round((now - then) / 1000);
  const away = Math.abs(seconds);
  if (away < 10) return "just now";
  if (away >= 31 * DAY) return date(then);
  const past = seconds > 0;
  if (away >= DAY && away < 2 * DAY) return past ? "yesterday" : "tomorrow";
  const [amount, unit]: [number, string] =
    away < MINUTE
      ? [away, "s"]
      : away < HOUR
        ? [Math.floor(away / MINUTE), "min"]
        : away < DAY
          ? [Math.floor(away / HOUR), "h"]
          : [Math.floor(away / DAY), "days"];
  return past ? `${amount} ${unit} ago` : `in ${amount} ${unit}`;
}

/** "0.4 s", "12 s", "3 min 20 s", "5 h 12 min", "3 days". */
export function lasting(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return pair(Math.floor(whole / MINUTE), "min", whole % MINUTE, "s");
  if (whole < 2 * DAY) {
    return pair(Math.floor(whole / HOUR), "h", Math.floor((whole % HOUR) / MINUTE), "min");
  }
  return `${Math.floor(whole / DAY)} days`;
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** The day, in the reader's own spelling. */
export function date(then: number): string {
  return new Date(then).toLocaleDateString(undefined, { dateStyle: "medium" });
}

/** The full moment, in the reader's own spelling; for titles. */
export function moment(then: number): string {
  return new Date(then).toLocaleString(undefined, { dateStyle: "full", timeStyle: "medium" });
}

/** The time of day with seconds; for timelines. */
export function clock(then: number): string {
  return new Date(then).toLocaleTimeString(undefined, {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  });
}
