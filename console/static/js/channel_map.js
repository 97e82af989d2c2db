// The channel map: the list of subchannels beside the picture, a cursor for pointer and keys, and the legend.

import { powerGradient } from "./colours.js";
import { byId, h, mark, say } from "./dom.js";
import { hurry, stale, view } from "./frame.js";
import { besides, buildList, drawList } from "./map_list.js";
import { layOut } from "./map_layout.js";
import { AXIS_HEIGHT, drawPicture, scale } from "./map_picture.js";
import { BUSY } from "./channel_history.js";
import { seen } from "./routes.js";
import { select, state, subchannelOf } from "./state.js";
import { remember, remembered } from "./theme.js";
import { timeline } from "./timeline.js";
import { timeOfDay, utcText } from "./times.js";
import { decibels, megahertz } from "./units.js";

let layout = { rows: [], height: 0 };
let by = remembered("map-colour", "power");
let cursor = null;
let canvas = null;
let slider = null;
let readout = null;

export function startChannelMap() {
  view("map-rows", drawList, { every_ms: 250, ...seen("channels") });
  view("map", draw, { every_ms: 60, ...seen("channels") });
  for (const radio of document.querySelectorAll("#map-colour input")) {
    radio.checked = radio.value === by;
    radio.addEventListener("change", () => {
      by = radio.value;
      remember("map-colour", by);
      legend();
      hurry("map");
    });
  }
  const span = byId("map-span");
  span.value = remembered("map-span", "300");
  if (span.value === "") span.value = "300";
  span.addEventListener("change", () => {
    remember("map-span", span.value);
    timeline.setSpan(Number(span.value)).catch(() => hurry("map"));
  });
  legend();
  new ResizeObserver(() => hurry("map")).observe(byId("channel-map"));
}

/** The site is known: build rows and picture. */
export function buildChannelMap() {
  layout = layOut(state.site);
  buildList(layout);
  canvas = h("canvas", { "aria-hidden": "true" });
  readout = h("div", { class: "readout", hidden: true, "aria-hidden": "true" });
  slider = h(
    "div",
    {
      class: "map-picture",
      role: "slider",
      tabindex: "0",
      "aria-label": "Moment on the channel map",
      "aria-valuemin": "0",
      "aria-valuemax": "100",
      "aria-valuenow": "100",
      "aria-valuetext": "now",
      onpointermove: point,
      onpointerleave: leave,
      onclick: () => cursor && select(cursor.key),
      onkeydown: step,
      onblur: leave,
    },
    canvas,
    readout,
  );
  canvas.style.height = `${layout.height + AXIS_HEIGHT}px`;
  byId("channel-map").append(slider);
  hurry("map", "map-rows");
}

function draw(now_ms) {
  if (!canvas) return;
  drawPicture(canvas, layout, by, cursor, now_ms);
  if (by === "power") writeScale();
  if (cursor) tellCursor();
}

function point(event) {
  const box = canvas.getBoundingClientRect();
  const [from_s, , to_s] = timeline.window;
  const down = event.clientY - box.top;
  const row = layout.rows.find((one) => one.kind === "cell" && down >= one.y && down < one.y + one.height);
  if (!row) return leave();
  cursor = { at_s: from_s + ((event.clientX - box.left) / box.width) * (to_s - from_s), key: row.cell.key };
  stale("map");
}

function leave() {
  cursor = null;
  readout.hidden = true;
  stale("map");
}

function step(event) {
  const [from_s, now_s] = timeline.window;
  const by_s = (event.shiftKey ? 20 : 1) * timeline.history.step_s;
  cursor ??= { at_s: now_s, key: state.selected ?? layout.rows.find((row) => row.kind === "cell")?.cell.key };
  const moves = {
    ArrowLeft: () => (cursor.at_s -= by_s),
    ArrowRight: () => (cursor.at_s += by_s),
    PageUp: () => (cursor.at_s += 20 * timeline.history.step_s),
    PageDown: () => (cursor.at_s -= 20 * timeline.history.step_s),
    Home: () => (cursor.at_s = from_s),
    End: () => (cursor.at_s = now_s),
    ArrowUp: () => (cursor.key = besides(cursor.key, -1)),
    ArrowDown: () => (cursor.key = besides(cursor.key, 1)),
    Enter: () => select(cursor.key),
  };
  if (!(event.key in moves)) return;
  event.preventDefault();
  moves[event.key]();
  cursor.at_s = Math.max(from_s, Math.min(now_s, cursor.at_s));
  hurry("map");
}

/** What lies under the cursor, in words: beside the pointer, and as the slider's value for screen readers. */
function tellCursor() {
  const [from_s, now_s, to_s] = timeline.window;
  const found = timeline.history.at(cursor.key, cursor.at_s);
  const lease = [...timeline.leases].find(
    (one) => one.key === cursor.key && one.start_s <= cursor.at_s && cursor.at_s < one.end_s,
  );
  const level = found
    ? `${found.state === BUSY ? "busy" : "idle"}, ${decibels(found.energy_dbfs, "dBFS")} (threshold ${decibels(found.threshold_dbfs, "dBFS")})`
    : cursor.at_s > now_s
      ? "still to come"
      : "not sensed";
  const held = lease ? `, ${lease.forced ? "forced lease" : "lease"} of ${lease.device}` : "";
  const name = megahertz(subchannelOf(cursor.key)?.subchannel_hz);
  mark(slider, "aria-valuenow", Math.round(((cursor.at_s - from_s) / (now_s - from_s)) * 100));
  mark(slider, "aria-valuetext", `${name} at ${timeOfDay(cursor.at_s)}: ${level}${held}`);
  readout.replaceChildren(
    h("strong", { text: name }),
    h("span", { text: `${timeOfDay(cursor.at_s)} · ${utcText(cursor.at_s).slice(11)}` }),
    h("span", { text: level }),
    ...(lease ? [h("span", { text: held.slice(2) })] : []),
  );
  readout.hidden = false;
  const x = ((cursor.at_s - from_s) / (to_s - from_s)) * canvas.clientWidth;
  const row = layout.rows.find((one) => one.kind === "cell" && one.cell.key === cursor.key);
  const left = x > canvas.clientWidth / 2 ? x - readout.offsetWidth - 14 : x + 14;
  readout.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, row.y - 18)}px)`;
}

function legend() {
  const box = byId("map-legend");
  const swatch = (name, text, pattern = "") =>
    h(
      "span",
      { class: "swatch", "data-pattern": pattern },
      h("i", { class: `fill-${name}`, "aria-hidden": "true" }),
      text,
    );
  const leases = [swatch("lease", "lease"), swatch("forced", "forced lease", "x"), swatch("banned", "banned", "x")];
  if (by === "state") {
    box.replaceChildren(
      swatch("idle", "idle"),
      swatch("busy", "busy", "/"),
      swatch("nothing", "not sensed"),
      ...leases,
    );
    return;
  }
  const bar = h("i", { class: "bar", "aria-hidden": "true" });
  bar.style.background = powerGradient();
  const low = h("span", { id: "scale-low" });
  const high = h("span", { id: "scale-high" });
  box.replaceChildren(h("span", { class: "scale" }, low, bar, high), swatch("nothing", "not sensed"), ...leases);
  writeScale();
}

function writeScale() {
  const low = document.getElementById("scale-low");
  if (!low) return;
  say(low, decibels(scale.low, "dBFS", 0));
  say(byId("scale-high"), decibels(scale.high, "dBFS", 0));
}
