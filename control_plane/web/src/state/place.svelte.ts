/** Where in the console we are. */

import { href, parse, type Route } from "../router.ts";

class Place {
  route = $state<Route>(parse(location.hash));

  constructor() {
    addEventListener("hashchange", () => {
      this.route = parse(location.hash);
    });
  }

  go(route: Exclude<Route, { page: "unknown" }>): void {
    location.hash = href(route);
  }

  /** Go without leaving a step in the history: what was in the address bar is gone. A sign-in
   * link may have another path than the console's own; that goes as well. */
  replace(route: Exclude<Route, { page: "unknown" }>): void {
    history.replaceState(null, "", `./${href(route)}`);
    this.route = route;
  }
}

export const place = new Place();
