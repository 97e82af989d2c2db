// The waterfall view: one picture for each sensor, live, or the recorded rows up to a past instant.

import { ask, newest } from "./api.js";
import { powerGradient } from "./colours.js";
import { byId, h, keep, mark, say } from "./dom.js";
import { changed, isPast, shown, state } from "./state.js";
import { view } from "./frame.js";
import { isView, onEnter, seen } from "./routes.js";
import { SpectrumStore, levelRange } from "./spectrum_store.js";
import { onTravel } from "./time_bar.js";
import { now, timeOfDay } from "./times.js";
import { decibels, duration, megahertz } from "./units.js";
import { WaterfallPicture } from "./waterfall_picture.js";

/** This much of the past is shown when the time slider is used. */
const PAST_S = 55;
const PAST_ROWS = 550;
const RANGE_MS = 3000;

const live = new SpectrumStore();
let past = new SpectrumStore();
let box = null;
let empty = null;
let filled = false;
const onlyNewest = newest();

/** A `spectrum` message of the feed. */
export function addSpectrum({ rows }) {
  live.add(rows);
  if (!isPast()) changed("spectrum");
}

export function startWaterfall() {
  view("waterfall", draw, { every_ms: 60, ...seen("waterfall") });
  box = h("div", { class: "waterfalls" });
  empty = h("div", { class: "panel empty" }, h("strong"), h("span"));
  byId("view-waterfall").append(empty, box);
  onEnter("waterfall", () => (isPast() ? loadPast(state.past_s) : loadLive()));
  onTravel((at_s) => (at_s === null ? loadLive() : loadPast(at_s)));
  new ResizeObserver(() => changed("spectrum")).observe(box);
}

/** Recorded rows of every sensor up to an instant; null when a newer question was asked meanwhile. */
async function recorded(to_s) {
  const rows = (sensor) => ask("/api/history/spectrum", { sensor, from_s: to_s - PAST_S, to_s, rows: PAST_ROWS });
  const sensors = (shown("sensors")?.sensors ?? state.site?.sensors ?? []).map((one) => one.sensor ?? one.name);
  // A sensor without rows is no error of the page: it stays away.
  return onlyNewest(() => Promise.all(sensors.map((sensor) => rows(sensor).catch(() => ({ rows: [] })))));
}

async function loadPast(at_s) {
  if (!isView("waterfall")) return;
  const found = await recorded(at_s);
  if (!found) return;
  past = new SpectrumStore();
  for (const { rows } of found) past.add(rows);
  changed("spectrum");
}

/** The last minute before the page was opened: a waterfall that begins empty tells nothing for a minute. */
async function loadLive() {
  if (!isView("waterfall") || filled || !state.site) return;
  filled = true;
  for (const { rows } of (await recorded(now())) ?? []) live.addBefore(rows);
  changed("spectrum");
}

function draw(now_ms) {
  const store = isPast() ? past : live;
  const names = [...store.sensors.keys()].sort();
  empty.hidden = names.length > 0;
  if (!names.length) {
    say(empty.firstChild, isPast() ? "No spectrum is recorded here" : "No spectrum yet");
    say(
      empty.lastChild,
      isPast()
        ? "Rows are kept for a shorter time than the channel map."
        : "A waterfall appears as soon as a sensor publishes its spectrum.",
    );
  }
  keep(
    box,
    names,
    (name) => name,
    make,
    (made, name) => update(made, name, store.sensors.get(name), now_ms),
  );
}

function make(name) {
  const canvas = h("canvas", { role: "img", "aria-label": `Waterfall of ${name}` });
  const tuning = h("span", { class: "muted" });
  const low = h("span");
  const high = h("span");
  const bar = h("i", { class: "bar", "aria-hidden": "true" });
  bar.style.background = powerGradient();
  const under = h("span", { class: "muted under" });
  const made = h(
    "section",
    { class: "panel waterfall", "aria-label": `Sensor ${name}` },
    h(
      "header",
      { class: "panel-head" },
      h("h2", { text: name }),
      tuning,
      h("span", { class: "scale" }, low, bar, high),
    ),
    canvas,
    under,
  );
  made.parts = {
    canvas,
    tuning,
    low,
    high,
    under,
    picture: new WaterfallPicture(canvas),
    range: null,
    ranged_ms: -Infinity,
  };
  canvas.addEventListener("pointermove", (event) => point(made, event));
  canvas.addEventListener("pointerleave", () => say(under, ""));
  return made;
}

function update(made, name, kept, now_ms) {
  const { parts } = made;
  if (!parts.range || now_ms - parts.ranged_ms > RANGE_MS) {
    const [low, high] = levelRange(kept.rows);
    // Colours move only when the levels have left them by a few dB: a flickering picture cannot be read.
    const moved = !parts.range || Math.abs(low - parts.range[0]) > 3 || Math.abs(high - parts.range[1]) > 3;
    if (moved) parts.range = [low, high];
    parts.ranged_ms = now_ms;
  }
  const marks = state.site.subchannels.map((cell) => ({
    low_hz: cell.subchannel_hz - cell.bandwidth_hz / 2,
    high_hz: cell.subchannel_hz + cell.bandwidth_hz / 2,
    chosen: cell.key === state.selected,
  }));
  marks.sort((a, b) => a.chosen - b.chosen);
  parts.picture.draw(kept, parts.range, marks);
  const last = kept.rows.at(-1);
  const sensor = shown("sensors")?.sensors.find((one) => one.sensor === name);
  say(
    parts.tuning,
    `${megahertz(kept.center_hz)} ± ${megahertz(kept.span_hz / 2)}, a row each ${duration(last.interval_s)}${sensor?.stale ? " · stale" : ""}`,
  );
  say(parts.low, decibels(parts.range[0], "dBFS", 0));
  say(parts.high, decibels(parts.range[1], "dBFS", 0));
  mark(parts.canvas, "aria-label", `Waterfall of ${name}: ${loudest(kept, last)}`);
}

function loudest(kept, row) {
  let best = 0;
  for (let i = 1; i < row.levels.length; i += 1) if (row.levels[i] > row.levels[best]) best = i;
  const hz = kept.center_hz + ((best + 0.5) / kept.bins - 0.5) * kept.span_hz;
  return `loudest at ${megahertz(Math.round(hz / 1e3) * 1e3)} with ${decibels(row.floor_dbfs + row.levels[best] * row.step_db, "dBFS", 0)}`;
}

function point(made, event) {
  const found = made.parts.picture.at(event.offsetX, event.offsetY);
  say(
    made.parts.under,
    found
      ? `${megahertz(Math.round(found.hz / 1e3) * 1e3)} at ${timeOfDay(found.time_s)}: ${decibels(found.level_dbfs, "dBFS")}`
      : "",
  );
}
