/**
 * The path below which the console is served, without a slash at its end: empty, or what a
 * proxy has put before it. The page itself is always right below it.
 */
export const BASE =
  typeof document === "undefined" ? "" : new URL(".", document.baseURI).pathname.replace(/\/$/, "");
