/** Light, dark, or as the system says. `public/theme.js` applies it before the first paint. */

export type Theme = "system" | "light" | "dark";

const KEY = "porthole.theme";

class ThemeChoice {
  chosen = $state<Theme>(remembered());

  choose(theme: Theme): void {
    this.chosen = theme;
    const root = document.documentElement;
    if (theme === "system") delete root.dataset["theme"];
    else root.dataset["theme"] = theme;
    try {
      if (theme === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      // Storage is closed to us: the choice lasts until the page is closed.
    }
  }
}

function remembered(): Theme {
  const set = document.documentElement.dataset["theme"];
  return set === "light" || set === "dark" ? set : "system";
}

export const theme = new ThemeChoice();
