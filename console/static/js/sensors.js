// Sensors: how old their last word is, what is wrong with their samples, their gain and clipping.

import { byId, h, keep, mark, say } from "./dom.js";
import { view } from "./frame.js";
import { seen } from "./routes.js";
import { shown, state } from "./state.js";
import { setTime, timeElement } from "./times.js";
import { count, decibels, duration, megahertz, metres, percent, probability } from "./units.js";
import { SENSOR_STATES, tag } from "./words.js";

let cards = null;
let empty = null;

export function startSensors() {
  view("sensors", draw, { every_ms: 500, ...seen("sensors") });
  cards = h("ul", { class: "cards", "aria-label": "Sensors" });
  empty = h(
    "div",
    { class: "panel empty" },
    h("strong", { text: "No sensor yet" }),
    "Start one with ",
    h("code", { text: "airshed sense --site SITE.toml" }),
    ".",
  );
  byId("view-sensors").append(empty, cards);
}

function draw() {
  const found = shown("sensors")?.sensors ?? [];
  empty.hidden = found.length > 0;
  keep(cards, found, (sensor) => sensor.sensor, make, update);
}

function make(sensor) {
  const parts = {};
  const fact = (name, term) => h("div", {}, h("dt", { text: term }), h("dd", {}, (parts[name] = h("span"))));
  parts.state = h("span", { class: "tag" });
  parts.last = timeElement(null);
  parts.flags = h("ul", { class: "flags" });
  const made = h(
    "li",
    { class: "panel card" },
    h("header", { class: "panel-head" }, h("h2", { text: sensor.sensor }), parts.state),
    h(
      "dl",
      { class: "facts" },
      fact("age", "Age of its last report"),
      h("div", {}, h("dt", { text: "Last report" }), h("dd", {}, parts.last)),
      fact("source", "Source"),
      fact("tuning", "Tuned to"),
      fact("gain", "Gain"),
      fact("clipping", "Clipped samples"),
      fact("design", "Designed for"),
      fact("intervals", "Intervals sensed"),
      fact("lost", "Lost"),
      fact("place", "Place"),
    ),
    parts.flags,
  );
  made.parts = parts;
  return made;
}

function update(made, sensor) {
  const { parts } = made;
  const table = state.site.sensors.find((one) => one.name === sensor.sensor);
  say(parts.state, sensor.stale && sensor.state === "running" ? "stale" : sensor.state);
  mark(parts.state, "data-tone", sensor.stale ? "bad" : (SENSOR_STATES[sensor.state] ?? "warn"));
  mark(made, "data-stale", sensor.stale);
  setTime(parts.last, sensor.last_s);
  say(
    parts.age,
    sensor.age_s === null
      ? "never heard"
      : `${duration(sensor.age_s)}${sensor.stale ? `, older than ${duration(state.site.controller.status_max_age_s)}: not used` : ""}`,
  );
  say(parts.source, sensor.source ?? table?.source ?? "–");
  say(
    parts.tuning,
    table?.center_hz
      ? `${megahertz(table.center_hz)}${table.rate_hz ? ` at ${count(table.rate_hz / 1e3)} kS/s` : ""}`
      : "the source's own",
  );
  say(parts.gain, sensor.gain_db === null ? "not known" : decibels(sensor.gain_db));
  say(parts.clipping, sensor.clipping === null ? "not known" : percent(sensor.clipping, 2));
  mark(parts.clipping, "data-tone", sensor.flags.includes("clipping") ? "bad" : null);
  say(
    parts.design,
    table ? `Pf ${probability(table.pf)}, Pm ${probability(table.pm)}, every ${duration(table.interval_s)}` : "–",
  );
  say(parts.intervals, `${count(sensor.intervals)}, ${count(sensor.records)} records`);
  say(parts.lost, `${count(sensor.lost_records ?? 0)} records, ${count(sensor.lost_samples ?? 0)} samples`);
  mark(parts.lost, "data-tone", sensor.lost_records || sensor.lost_samples ? "bad" : null);
  say(
    parts.place,
    sensor.position_m ? `${metres(sensor.position_m[0])} east, ${metres(sensor.position_m[1])} north` : "not placed",
  );
  keep(
    parts.flags,
    sensor.flags,
    (flag) => flag,
    flagItem,
    () => {},
  );
}

function flagItem(flag) {
  return h(
    "li",
    {},
    h("span", tag(flag.replaceAll("_", " "), "warn")),
    h("span", { class: "muted", text: state.site.flags?.[flag] ?? "" }),
  );
}
