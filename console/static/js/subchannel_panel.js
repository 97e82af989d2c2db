// Everything about the chosen subchannel: levels, errors, occupancy, who holds it and why.

import { evict, ruleSubchannel } from "./actions.js";
import { ask, newest } from "./api.js";
import { byId, h, keep, mark, say } from "./dom.js";
import { explanation } from "./explain.js";
import { stale, view } from "./frame.js";
import { chartFigure, chartSentence, levelChart } from "./level_chart.js";
import { seen } from "./routes.js";
import { isPast, selectedChannel, shown, state, subchannelOf } from "./state.js";
import { onRepaint } from "./theme.js";
import { timeline } from "./timeline.js";
import { timeElement } from "./times.js";
import { decibels, duration, kilohertz, megahertz, percent, probability } from "./units.js";
import { CHANNEL_STATES, TECHNOLOGIES, tag } from "./words.js";

const FIGURES = [
  [
    "E_c",
    "energy",
    (c) => decibels(c.energy_dbfs, "dBFS"),
    (c) => (c.energy_dbm === null ? "" : decibels(c.energy_dbm, "dBm")),
  ],
  ["E_th", "threshold", (c) => decibels(c.threshold_dbfs, "dBFS"), (c) => `noise ${decibels(c.noise_dbfs, "dBFS")}`],
  ["SNR", "over the noise", (c) => decibels(c.snr_db, "dB"), () => ""],
  [
    "Pf",
    "false alarm",
    (c) => probability(c.pf),
    (c) => `design ${probability(c.pf_design)} · measured ${probability(c.pf_measured)}`,
  ],
  [
    "Pm",
    "missed detection",
    (c) => probability(c.pm),
    (c) => `design ${probability(c.pm_design)}${c.pm_snr_db === null ? "" : ` · at ${decibels(c.pm_snr_db)}`}`,
  ],
  ["Pm·Pr(H1) + Pf·Pr(H0)", "detection-error weight", (c) => probability(c.weight), () => ""],
];

let parts = null;
let chart = null;
/** Decisions behind the leases, by lease id, as far as they were asked for. */
let reasons = new Map();
const onlyNewest = newest();

export function startSubchannelPanel() {
  view("subchannel", draw, { every_ms: 250, ...seen("channels") });
  view("level-chart", drawChart, { every_ms: 250, ...seen("channels") });
  build();
  onRepaint(() => chart.repaint());
  new ResizeObserver(() => stale("level-chart")).observe(parts.figure);
}

function build() {
  const { figure, box, caption } = chartFigure();
  chart = levelChart(box);
  const title = h("h2", { id: "subchannel-title", text: "Subchannel" });
  const facts = h("p", { class: "muted" });
  const ban = h("button", { type: "button", class: "small", onclick: () => rule("ban", "unban", "banned") });
  const pin = h("button", { type: "button", class: "small", onclick: () => rule("pin", "unpin", "pinned") });
  const states = h("span", { class: "tags" });
  const grid = h("dl", { class: "figures" });
  const occupancy = occupancyBar();
  const leases = h("ul", { class: "leases" });
  const none = h("p", { class: "muted", text: "Nobody holds it now, and nobody is to come." });
  parts = { figure, caption, title, facts, ban, pin, states, grid, occupancy, leases, none };
  byId("subchannel").replaceChildren(
    h("header", { class: "panel-head" }, title, states, h("span", { class: "buttons" }, pin, ban)),
    facts,
    figure,
    grid,
    occupancy.box,
    h("h3", { class: "part", text: "Leases now and next" }),
    leases,
    none,
  );
}

function occupancyBar() {
  const value = h("strong");
  const interval = h("span", { class: "muted" });
  const range = h("i", { class: "range" });
  const point = h("i", { class: "point" });
  const box = h(
    "div",
    { class: "occupancy" },
    h("span", { class: "occupancy-name", text: "Occupancy Pr(H1)" }),
    value,
    interval,
    h("div", { class: "occupancy-bar", "aria-hidden": "true" }, range, point),
  );
  return { box, value, interval, range, point };
}

function rule(on, off, name) {
  const channel = selectedChannel();
  if (channel) ruleSubchannel(channel.rule === name ? off : on, channel.key);
}

function draw() {
  const cell = subchannelOf(state.selected);
  const channel = selectedChannel();
  if (!cell || !channel) return;
  say(parts.title, `${megahertz(cell.subchannel_hz)}`);
  say(
    parts.facts,
    [TECHNOLOGIES[cell.technology], kilohertz(cell.bandwidth_hz), cell.sub_band && `sub-band ${cell.sub_band}`]
      .filter(Boolean)
      .join(" · "),
  );
  writeStates(channel);
  writeFigures(channel);
  writeOccupancy(channel);
  say(parts.ban, channel.rule === "banned" ? "Lift ban…" : "Ban…");
  say(parts.pin, channel.rule === "pinned" ? "Unpin…" : "Pin…");
  parts.ban.disabled = parts.pin.disabled = isPast();
  writeLeases();
  stale("level-chart");
}

function writeStates(channel) {
  const { word, sign, tone } = CHANNEL_STATES[channel.state] ?? CHANNEL_STATES.silent;
  const tags = [
    [`${sign} ${word}`, tone],
    ...(channel.rule === "pinned" ? [["pinned", "good"]] : []),
    ...(channel.rule === "banned" && channel.state !== "banned" ? [["banned", "bad"]] : []),
    ...channel.flags.map((flag) => [flag.replaceAll("_", " "), "warn", state.site.flags?.[flag] ?? flag]),
  ];
  keep(
    parts.states,
    tags,
    ([text]) => text,
    ([text, tone_, title]) => h("span", { ...tag(text, tone_), title }),
    () => {},
  );
}

function writeFigures(channel) {
  const make = ([name, meaning]) => {
    const value = h("span", { class: "figure-value" });
    const more = h("span", { class: "figure-more" });
    const made = h("div", {}, h("dt", {}, h("b", { text: name }), ` ${meaning}`), h("dd", {}, value, more));
    made.parts = { value, more };
    return made;
  };
  keep(
    parts.grid,
    FIGURES,
    ([name]) => name,
    make,
    (made, [, , value, more]) => {
      say(made.parts.value, value(channel));
      say(made.parts.more, more(channel));
    },
  );
}

function writeOccupancy({ occupancy, occupancy_low: low, occupancy_high: high, sensors, age_s }) {
  const { value, interval, range, point } = parts.occupancy;
  say(value, percent(occupancy, 1));
  const by = sensors.length && age_s !== null ? ` · by ${sensors.join(", ")}, ${duration(Math.max(0, age_s))} ago` : "";
  say(interval, `${percent(low, 1)} to ${percent(high, 1)} (95 %)${by}`);
  const known = occupancy !== null && low !== null && high !== null;
  range.style.left = `${100 * (known ? low : 0)}%`;
  range.style.width = `${100 * (known ? high - low : 0)}%`;
  point.style.left = `${100 * (occupancy ?? 0)}%`;
}

function writeLeases() {
  const found = shown("leases");
  const mine = found?.leases.filter((lease) => lease.key === state.selected) ?? [];
  keep(
    parts.leases,
    mine,
    (lease) => lease.lease_id,
    makeLease,
    (made, lease) => updateLease(made, lease, found.time_s),
  );
  parts.none.hidden = mine.length > 0;
  if (!isPast() && mine.some((lease) => !reasons.has(lease.lease_id))) askReasons();
}

function makeLease(lease) {
  const when = h("span", { class: "lease-when" });
  const marks = h("span", { class: "tags" });
  const why = h("div", { class: "why" });
  const details = h("details", {}, h("summary", { text: "Why here?" }), why);
  const button = h("button", {
    type: "button",
    class: "small",
    text: "Evict…",
    "aria-label": `Evict ${lease.device}`,
    onclick: () => evict(made.lease),
  });
  const device = h("a", { href: `#/devices/${encodeURIComponent(lease.device)}`, class: "mono", text: lease.device });
  const made = h(
    "li",
    { class: "lease", "data-lease": lease.lease_id },
    h(
      "div",
      { class: "lease-line" },
      device,
      h("span", { class: "muted", text: `at ${lease.gateway}` }),
      marks,
      button,
    ),
    h("div", { class: "lease-line" }, when, h("span", { class: "muted" }, "from ", timeElement(lease.start_s))),
    details,
  );
  made.parts = { when, marks, why, button };
  details.addEventListener("toggle", () => writeWhy(made));
  return made;
}

function updateLease(made, lease, time_s) {
  made.lease = lease;
  const { when, marks, button } = made.parts;
  const coming = lease.start_s > time_s;
  say(
    when,
    coming
      ? `next, in ${duration(lease.start_s - time_s)} for ${duration(lease.end_s - lease.start_s)}`
      : `now, ${duration(lease.end_s - time_s)} left`,
  );
  const tags = [
    [coming ? "next" : "now", coming ? "" : "good"],
    lease.forced ? [`forced after ${lease.attempt}`, "bad"] : [`attempt ${lease.attempt}`, ""],
    [lease.state, ""],
  ];
  keep(
    marks,
    tags,
    ([text]) => text,
    ([text, tone]) => h("span", tag(text, tone)),
    () => {},
  );
  button.disabled = isPast();
  writeWhy(made);
}

function writeWhy(made) {
  const details = made.parts.why.parentElement;
  if (!details.open || made.parts.why.dataset.written) return;
  const known = reasons.has(made.lease.lease_id);
  const found = explanation(reasons.get(made.lease.lease_id));
  if (!found) {
    const asked = isPast() ? "Reasons are looked up for leases of now: go back to live." : "Looking it up …";
    say(made.parts.why, known ? "The decision behind it is no longer kept." : asked);
    return;
  }
  made.parts.why.dataset.written = "yes";
  made.parts.why.replaceChildren(...whyElements(found));
}

/** An explanation as elements; the device's panel shows the same. */
export function whyElements({ summary, facts, tries }) {
  return [
    h("p", { text: summary }),
    ...facts.map((text) => h("p", { class: "muted", text })),
    h(
      "ol",
      {},
      tries.map(({ text, outcome }) => h("li", {}, `${text}: `, h("b", { text: outcome }))),
    ),
  ];
}

let asking = false;

async function askReasons() {
  if (asking) return;
  asking = true;
  const key = state.selected;
  try {
    const found = await onlyNewest(() => ask(`/api/subchannels/${key}`));
    const mine = [...(found?.now ?? []), ...(found?.next ?? [])];
    if (reasons.size > 2000) reasons = new Map();
    for (const lease of mine) reasons.set(lease.lease_id, lease.why);
  } catch {
    return; // the leases stand without their reasons; the next draw asks again
  } finally {
    setTimeout(() => (asking = false), 1000);
  }
  stale("subchannel");
}

function drawChart() {
  if (!state.selected) return;
  const [from_s, now_s] = timeline.window;
  const series = timeline.history.series(state.selected, from_s, now_s);
  chart.draw(series, from_s, now_s);
  mark(parts.figure, "aria-label", "Energy and threshold by time");
  say(parts.caption, chartSentence(series));
}
