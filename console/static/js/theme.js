// Light, dark, or what the system prefers; kept in this browser.

import { forgetInk } from "./colours.js";
import { byId, mark } from "./dom.js";
import { allStale } from "./frame.js";

const NEXT = { auto: "light", light: "dark", dark: "auto" };
const SIGNS = { auto: "◐", light: "☀", dark: "☾" };
const NAMES = { auto: "as the system", light: "light", dark: "dark" };

export function remembered(name, otherwise) {
  try {
    return localStorage.getItem(`airshed.${name}`) ?? otherwise;
  } catch {
    return otherwise; // storage is switched off: the page works, it only forgets
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`airshed.${name}`, value);
  } catch {
    return; // as above
  }
}

export function startTheme() {
  const button = byId("theme");
  let theme = remembered("theme", "auto");
  if (!(theme in NEXT)) theme = "auto";
  const apply = () => {
    mark(document.documentElement, "data-theme", theme === "auto" ? null : theme);
    button.textContent = SIGNS[theme];
    button.title = `Theme: ${NAMES[theme]}. Press for ${NAMES[NEXT[theme]]}.`;
    mark(button, "aria-label", button.title);
    repaint();
  };
  button.addEventListener("click", () => {
    theme = NEXT[theme];
    remember("theme", theme);
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  apply();
}

const painters = [];

/** Call `paint` whenever colours have changed: for what is not drawn by a view, such as a chart's axes. */
export function onRepaint(paint) {
  painters.push(paint);
}

function repaint() {
  forgetInk();
  for (const paint of painters) paint();
  allStale();
}
