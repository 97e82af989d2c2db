// What the page knows: the live state as the feed tells it, the past as the time slider asked for it, and what is chosen.
// See docs/console.md for every object.

import { stale } from "./frame.js";

/** Kinds of the feed that carry everything of their kind. */
export const KINDS = ["channels", "leases", "devices", "gateways", "sensors", "duty", "operators"];

/** Views that show a kind; they are drawn again when it changes. */
const SHOWN_BY = {
  site: ["tiles", "map-rows", "map", "site-map", "waterfall"],
  session: ["audit"],
  link: ["link"],
  feed: ["link"],
  channels: ["tiles", "map-rows", "map", "subchannel"],
  leases: ["tiles", "map", "subchannel", "device"],
  devices: ["tiles", "devices", "device", "site-map"],
  gateways: ["tiles", "gateways", "site-map"],
  sensors: ["tiles", "sensors", "site-map", "waterfall"],
  duty: ["map-rows"],
  operators: ["tiles", "subchannel"],
  events: ["tiles", "events"],
  audit: ["audit"],
  selected: ["map-rows", "map", "subchannel", "site-map"],
  history: ["map", "level-chart"],
  spectrum: ["waterfall"],
  past: ["time"],
};

export const state = {
  site: null,
  session: null,
  link: { state: "connecting", since_s: null, detail: "" },
  feed: null,
  live: {},
  /** The state at a past instant, null while the page is live. */
  past: null,
  past_s: null,
  events: [],
  audit: [],
  selected: null,
};

const MOST_EVENTS = 500;

export function changed(...topics) {
  stale(...new Set(topics.flatMap((topic) => SHOWN_BY[topic])));
}

/** The object of a kind that the views show now: live, or as it was. */
export function shown(kind) {
  const from = state.past ?? state.live;
  return from[kind] ?? null;
}

/** The instant that is shown, seconds since the epoch; null while nothing has come. */
export function shownTime() {
  return state.past_s ?? state.live.channels?.time_s ?? state.feed?.time_s ?? null;
}

export const isPast = () => state.past_s !== null;

export function setLive(kind, data) {
  state.live[kind] = data;
  if (!isPast()) changed(kind);
}

/** Go to a past instant, or back to now with nulls. */
export function setPast(at_s, found) {
  state.past_s = at_s;
  state.past = found;
  changed("past", ...KINDS, "history");
}

export function addEvents(events) {
  const known = new Set(state.events.map((event) => event.id));
  const fresh = events.filter((event) => !known.has(event.id)).reverse();
  if (!fresh.length) return;
  state.events = [...fresh, ...state.events].slice(0, MOST_EVENTS);
  changed("events");
}

export function addAudit(entries) {
  const byId = new Map(state.audit.map((entry) => [entry.id, entry]));
  for (const entry of entries) {
    byId.set(entry.id, entry);
    const undone = entry.undo_of && byId.get(entry.undo_of);
    if (undone) byId.set(undone.id, { ...undone, undone_by: entry.id, can_undo: false });
  }
  state.audit = [...byId.values()].sort((a, b) => b.time_s - a.time_s);
  changed("audit");
}

export function select(key) {
  if (state.selected === key) return;
  state.selected = key;
  changed("selected");
}

/** The channel that is chosen, as it is shown now. */
export function selectedChannel() {
  return shown("channels")?.subchannels.find((channel) => channel.key === state.selected) ?? null;
}

/** The fixed facts of a subchannel. */
export function subchannelOf(key) {
  return state.site?.subchannels.find((one) => one.key === key) ?? null;
}
