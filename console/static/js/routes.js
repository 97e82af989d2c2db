// Which view is seen: the part of the address behind #, so that links and the back button work.

import { byId, mark, say } from "./dom.js";
import { hurry } from "./frame.js";
import { state } from "./state.js";

const VIEWS = {
  channels: { title: "Channels", draws: ["tiles", "map-rows", "map", "subchannel", "level-chart"] },
  waterfall: { title: "Waterfall", draws: ["waterfall"] },
  map: { title: "Site map", draws: ["site-map"] },
  devices: { title: "Devices", draws: ["devices", "device"] },
  gateways: { title: "Gateways", draws: ["gateways"] },
  sensors: { title: "Sensors", draws: ["sensors"] },
  events: { title: "Events", draws: ["events", "audit"] },
};

let current = "channels";
const entered = new Map();

export const isView = (name) => current === name;
export const seen = (name) => ({ isSeen: () => current === name });

/** Call `enter(rest)` when a view is entered; rest is what follows the name: #/devices/meter-7 gives `meter-7`. */
export function onEnter(name, enter) {
  entered.set(name, enter);
}

/** What an address names, without its `#/`. */
export function placeOf(hash) {
  const place = hash.replace(/^#\/?/, "");
  try {
    return decodeURIComponent(place);
  } catch {
    return place; // a stray % in an address somebody typed
  }
}

/** Show the view that the address names. */
export function enterView() {
  const [name, ...rest] = placeOf(location.hash).split("/");
  current = name in VIEWS ? name : "channels";
  for (const view of Object.keys(VIEWS)) byId(`view-${view}`).hidden = view !== current;
  for (const link of document.querySelectorAll("nav.views a")) {
    const isCurrent = link.hash === `#/${current}`;
    mark(link, "aria-current", isCurrent ? "page" : null);
    if (isCurrent) link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  const { title, draws } = VIEWS[current];
  say(byId("view-title"), title);
  document.title = [title, state.site?.site, "Airshed"].filter(Boolean).join(" · ");
  entered.get(current)?.(rest.join("/"));
  hurry(...draws);
}
