// The site at a glance: what an operator looks at first.

import { changePolicy } from "./actions.js";
import { byId, h, keep, mark, say } from "./dom.js";
import { view } from "./frame.js";
import { seen } from "./routes.js";
import { isPast, shown, shownTime, state } from "./state.js";
import { count, duration, percent, plural } from "./units.js";
import { SENSING } from "./words.js";

/** Forced leases of this time are counted, as far back as the page knows events. */
const RECENT_S = 3600;

export function startTiles() {
  view("tiles", draw, { every_ms: 500, ...seen("channels") });
}

function draw() {
  if (!state.site) return;
  keep(byId("tiles"), tiles(), (tile) => tile.name, make, update);
}

function make(tile) {
  const value = h("span", { class: "tile-value" });
  const says = h("span", { class: "tile-says" });
  const act = tile.act && h("button", { type: "button", class: "small", text: tile.act, onclick: tile.does });
  const link = h(
    tile.href ? "a" : "div",
    { class: "tile-face", href: tile.href },
    h("span", { class: "tile-name", text: tile.name }),
    value,
    says,
  );
  const made = h("li", { class: "tile" }, link, act);
  made.parts = { value, says };
  return made;
}

function update(made, tile) {
  say(made.parts.value, tile.value);
  say(made.parts.says, tile.says);
  mark(made, "data-tone", tile.tone ?? null);
}

function tiles() {
  return [subchannels(), leases(), gateways(), sensors(), devices(), policy()];
}

function subchannels() {
  const found = shown("channels");
  const all = found?.subchannels ?? [];
  const busy = all.filter((channel) => channel.state === "busy").length;
  const { word, tone } = SENSING[found?.sensing] ?? { word: "nothing is known yet", tone: "warn" };
  return {
    name: "Subchannels busy",
    value: `${busy} of ${state.site.subchannels.length}`,
    says: word,
    tone: tone === "good" ? null : tone,
  };
}

function leases() {
  const found = shown("leases");
  const at_s = found?.time_s ?? 0;
  const now = found?.leases.filter((lease) => lease.start_s <= at_s).length ?? 0;
  const next = (found?.leases.length ?? 0) - now;
  return { name: "Leases now", value: count(now), says: `${count(next)} to come${forced()}`, href: "#/events/forced" };
}

function forced() {
  const oldest = state.events.at(-1);
  if (isPast() || !oldest) return "";
  const now_s = shownTime() ?? oldest.time_s;
  const since_s = Math.max(now_s - RECENT_S, oldest.time_s);
  const found = state.events.filter((event) => event.kind === "forced" && event.time_s >= since_s).length;
  return ` · ${found ? count(found) : "none"} forced in ${duration(now_s - since_s)}`;
}

function gateways() {
  const all = shown("gateways")?.gateways ?? [];
  const attached = all.filter((gateway) => gateway.state === "attached").length;
  const missing = all.filter((gateway) => gateway.state !== "attached");
  return {
    name: "Gateways attached",
    value: `${attached} of ${all.length}`,
    href: "#/gateways",
    says: missing.length ? missing.map((gateway) => `${gateway.gateway} ${gateway.state}`).join(", ") : "all there",
    tone: missing.length ? "warn" : null,
  };
}

function sensors() {
  const all = shown("sensors")?.sensors ?? [];
  const bad = all.filter((sensor) => sensor.stale || sensor.state === "failed");
  const clipping = all.filter((sensor) => !sensor.stale && sensor.flags.includes("clipping"));
  const says = bad.length
    ? bad.map((sensor) => `${sensor.sensor} ${sensor.state}, ${duration(sensor.age_s)} old`).join(", ")
    : clipping.length
      ? `${clipping.map((sensor) => sensor.sensor).join(", ")} clipping`
      : all.length
        ? "all fresh"
        : "none has reported yet";
  return {
    name: "Sensors fresh",
    value: `${all.length - bad.length} of ${all.length}`,
    href: "#/sensors",
    says,
    tone: bad.length ? "bad" : clipping.length || !all.length ? "warn" : null,
  };
}

function devices() {
  const all = shown("devices")?.devices ?? [];
  const offline = all.filter((device) => device.offline);
  const degraded = all.filter((device) => device.degraded && !device.offline).length;
  const worst = all.reduce((most, device) => Math.max(most, device.outage ?? 0), 0);
  return {
    name: "Devices offline",
    value: `${count(offline.length)} of ${count(all.length)}`,
    href: "#/devices",
    says: degraded
      ? `${plural(degraded, "device")} degraded`
      : all.length
        ? `worst outage ${percent(worst)}`
        : "none heard yet",
    tone: offline.length ? "bad" : degraded ? "warn" : null,
  };
}

function policy() {
  const word = shown("operators");
  const own = state.site.controller;
  const banned = word?.banned.length ?? 0;
  const pinned = word?.pinned.length ?? 0;
  const rules = [banned && plural(banned, "ban"), pinned && plural(pinned, "pin")].filter(Boolean).join(", ");
  return {
    name: "Policy",
    value: word?.policy ?? own.policy,
    says: `N = ${word?.attempts ?? own.attempts}${rules ? ` · ${rules}` : ""}${word?.policy || word?.attempts ? " · by operators" : ""}`,
    act: "Change…",
    does: changePolicy,
  };
}
