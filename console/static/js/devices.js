// Devices: a table that can be searched and sorted, and one device in full beside it.

import { byId, h, keep, mark, say } from "./dom.js";
import { drawDevice, openDevice, startDevicePanel } from "./device_panel.js";
import { hurry, view } from "./frame.js";
import { onEnter, seen } from "./routes.js";
import { shown } from "./state.js";
import { setTime, timeElement } from "./times.js";
import { count, duration, percent, plural, probability } from "./units.js";
import { channelName } from "./words.js";

/** A table longer than this is searched, not read. */
const MOST_ROWS = 200;

const COLUMNS = [
  { name: "Device", of: (d) => d.device },
  { name: "State", of: (d) => -rankOf(d) },
  { name: "Last seen", of: (d) => d.last_seen_s ?? -Infinity },
  { name: "Period", of: (d) => d.period_s ?? Infinity, number: true },
  { name: "Outage", of: (d) => -(d.outage ?? -1), number: true },
  { name: "Subchannel", of: (d) => d.key ?? "" },
  { name: "Gateway", of: (d) => d.gateway ?? "" },
  { name: "Received", of: (d) => -(d.receptions ?? 0), number: true },
];

let sortBy = 1;
let down = false;
const parts = {};
let chosen = null;

export function startDevices() {
  view("devices", draw, { every_ms: 500, ...seen("devices") });
  view("device", () => drawDevice(chosen), { every_ms: 500, ...seen("devices") });
  parts.search = h("input", { type: "search", placeholder: "name, gateway, MHz", oninput: () => hurry("devices") });
  parts.only = h("input", { type: "checkbox", onchange: () => hurry("devices") });
  parts.head = h("tr", {}, COLUMNS.map(headCell));
  parts.body = h("tbody");
  parts.count = h("span", { class: "muted", role: "status" });
  parts.empty = h("div", { class: "empty", hidden: true }, h("strong"), h("span"));
  const table = h(
    "table",
    { class: "devices" },
    h("caption", { class: "visually-hidden", text: "Devices" }),
    h("thead", {}, parts.head),
    parts.body,
  );
  const list = h(
    "section",
    { class: "panel", "aria-labelledby": "devices-title" },
    h(
      "header",
      { class: "panel-head" },
      h("h2", { id: "devices-title", text: "Devices" }),
      parts.count,
      h("label", { class: "select" }, "Find", parts.search),
      h("label", { class: "select" }, parts.only, "alarms only"),
    ),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of devices" }, table),
    parts.empty,
  );
  parts.panel = h("section", { class: "panel", "aria-label": "Device" });
  parts.split = h("div", { class: "split" }, list, parts.panel);
  byId("view-devices").append(parts.split);
  startDevicePanel(parts.panel);
  onEnter("devices", (name) => {
    chosen = name || chosen;
    if (chosen) openDevice(chosen);
    hurry("devices", "device");
  });
}

function headCell(column, number) {
  const button = h("button", { type: "button", class: "sort", text: column.name, onclick: () => sort(number) });
  return h("th", { scope: "col", class: column.number ? "number" : null }, button);
}

function sort(number) {
  down = sortBy === number && !down;
  sortBy = number;
  hurry("devices");
}

/** 3 offline, 2 degraded, 1 known, 0 never heard. */
function rankOf(device) {
  if (device.offline) return 3;
  if (device.degraded) return 2;
  return device.last_seen_s === null ? 0 : 1;
}

const STATES = [
  ["not heard", ""],
  ["online", "good"],
  ["degraded", "warn"],
  ["offline", "bad"],
];

/** Tag of a device's state. */
export function deviceState(device) {
  return STATES[rankOf(device)];
}

function draw() {
  const all = shown("devices")?.devices ?? [];
  const text = parts.search.value.trim().toLowerCase();
  const matching = all.filter(
    (d) =>
      (!parts.only.checked || rankOf(d) >= 2) &&
      (!text || `${d.device} ${d.gateway ?? ""} ${channelName(d.key)}`.toLowerCase().includes(text)),
  );
  const { of } = COLUMNS[sortBy];
  const sign = down ? -1 : 1;
  matching.sort((a, b) => {
    const [x, y] = [of(a), of(b)];
    return (x < y ? -sign : x > y ? sign : 0) || (a.device < b.device ? -1 : 1);
  });
  [...parts.head.children].forEach((cell, number) =>
    mark(cell, "aria-sort", number === sortBy ? (down ? "descending" : "ascending") : null),
  );
  const rows = matching.slice(0, MOST_ROWS);
  say(
    parts.count,
    matching.length > rows.length
      ? `${count(rows.length)} of ${plural(matching.length, "device")}: search to see others`
      : plural(matching.length, "device"),
  );
  keep(parts.body, rows, (d) => d.device, makeRow, updateRow);
  parts.empty.hidden = matching.length > 0;
  say(parts.empty.firstChild, all.length ? "No device matches" : "No device has been heard yet");
  say(
    parts.empty.lastChild,
    all.length ? "Another word, or all of them?" : "Devices appear with their first uplink or lease.",
  );
}

function makeRow(device) {
  const link = h("a", { href: `#/devices/${encodeURIComponent(device.device)}`, class: "mono", text: device.device });
  const cells = {
    state: h("span", { class: "tag" }),
    seen: timeElement(null),
    period: h("span"),
    outage: h("span"),
    key: h("span"),
    gateway: h("span"),
    receptions: h("span"),
  };
  const row = h(
    "tr",
    {},
    h("th", { scope: "row" }, link),
    h("td", {}, cells.state),
    h("td", {}, cells.seen),
    h("td", { class: "number" }, cells.period),
    h("td", { class: "number" }, cells.outage),
    h("td", {}, cells.key),
    h("td", {}, cells.gateway),
    h("td", { class: "number" }, cells.receptions),
  );
  row.cells_ = cells;
  return row;
}

function updateRow(row, device) {
  const cells = row.cells_;
  const [word, tone] = deviceState(device);
  say(cells.state, word);
  mark(cells.state, "data-tone", tone || null);
  mark(
    cells.state,
    "title",
    device.offline_probability === null ? null : `offline with probability ${probability(device.offline_probability)}`,
  );
  setTime(cells.seen, device.last_seen_s);
  say(cells.period, periodText(device));
  say(cells.outage, outageText(device));
  say(cells.key, device.key ? channelName(device.key) : "–");
  say(cells.gateway, device.gateway ?? "–");
  say(cells.receptions, count(device.receptions));
  mark(row, "data-chosen", device.device === chosen);
}

export function periodText(device) {
  if (device.period_s === null) return "no period";
  const jitter = device.jitter_s === null ? "" : ` ± ${duration(device.jitter_s)}`;
  const more = device.applications > 1 ? `, ${device.applications - 1} more` : "";
  return `${duration(device.period_s)}${jitter}${more}`;
}

export function outageText(device) {
  if (device.outage === null) return "–";
  const interval = device.outage_low === null ? "" : ` (${percent(device.outage_low)}–${percent(device.outage_high)})`;
  return `${percent(device.outage, 1)}${interval}`;
}
