// The channel map's list: every subchannel with its state in words and its level, one of them chosen.

import { byId, h, mark, say } from "./dom.js";
import { select, shown, state } from "./state.js";
import { decibels, megahertz, percent, plural } from "./units.js";
import { CHANNEL_STATES, TECHNOLOGIES } from "./words.js";

const cells = new Map();
const bands = new Map();
let list = null;

/** Build the list for a layout (see map_layout.js) into #channel-map. */
export function buildList(layout) {
  cells.clear();
  bands.clear();
  list = h("div", { class: "map-list", role: "listbox", "aria-label": "Subchannels", onkeydown: moveBy });
  let group = list;
  for (const row of layout.rows) {
    if (row.kind === "band") list.append((group = bandGroup(row)));
    else group.append(cellRow(row));
  }
  byId("channel-map").replaceChildren(list);
}

function bandGroup({ band, height }) {
  const label = band ? `Sub-band ${band.label}` : "Outside the sub-bands";
  const limits = band
    ? `${(band.low_hz / 1e6).toFixed(1)}–${trimmed(band.high_hz / 1e6)}\u202fMHz · ${percent(band.duty_cycle)}`
    : "";
  const meter = h("span", { class: "meter", "aria-hidden": "true" }, h("span"));
  const used = h("span", { class: "band-used" });
  const arrow = band?.direction === "downlink" ? "↓ downlink" : band ? "↑ uplink" : "";
  const head = h(
    "div",
    { class: "map-band", "aria-hidden": "true", "data-direction": band?.direction },
    h("strong", { text: band?.label ?? "" }),
    h("span", { class: "band-way", text: arrow }),
    h("span", { class: "band-limits", text: limits }),
    h("span", { class: "band-duty" }, meter, used),
  );
  head.style.height = `${height}px`;
  const group = h("div", { role: "group", "aria-label": `${label}, ${band?.direction ?? ""}, ${limits}` }, head);
  if (band) bands.set(band.label, { meter: meter.firstChild, used, head, group, label, limits, band });
  return group;
}

function cellRow({ cell, height }) {
  const sign = h("span", { class: "sign" });
  const word = h("span", { class: "word" });
  const level = h("span", { class: "level" });
  const row = h(
    "div",
    {
      class: "map-row",
      role: "option",
      tabindex: "-1",
      "data-key": cell.key,
      "data-technology": cell.technology,
      onclick: () => choose(cell.key),
    },
    h("span", { class: "name", text: megahertz(cell.subchannel_hz) }),
    h("span", { class: "state" }, sign, word),
    level,
  );
  row.style.height = `${height}px`;
  cells.set(cell.key, { row, sign, word, level, cell });
  return row;
}

/** Write states, levels and duty cycles. */
export function drawList() {
  if (!list) return;
  for (const channel of shown("channels")?.subchannels ?? []) {
    const found = cells.get(channel.key);
    if (!found) continue;
    const { word, sign } = CHANNEL_STATES[channel.state] ?? CHANNEL_STATES.silent;
    say(found.sign, sign);
    say(found.word, channel.rule === "pinned" ? `${word}, pinned` : word);
    say(found.level, channel.state === "silent" ? "" : decibels(channel.energy_dbfs, "dBFS"));
    mark(found.row, "data-state", channel.state);
    mark(found.row, "aria-label", sentence(found.cell, channel));
  }
  const first = cells.keys().next().value;
  for (const [key, { row }] of cells) {
    mark(row, "aria-selected", String(key === state.selected));
    mark(row, "tabindex", key === (state.selected ?? first) ? "0" : "-1");
  }
  for (const duty of shown("duty")?.sub_bands ?? []) writeDuty(duty);
}

function sentence(cell, channel) {
  const { word } = CHANNEL_STATES[channel.state] ?? CHANNEL_STATES.silent;
  const parts = [`${megahertz(cell.subchannel_hz)} ${TECHNOLOGIES[cell.technology]}`, word];
  if (channel.rule === "pinned") parts.push("pinned");
  if (channel.state !== "silent") parts.push(decibels(channel.energy_dbfs, "dBFS", 0));
  if (channel.leases_now) parts.push(plural(channel.leases_now, "lease"));
  return parts.join(", ");
}

function writeDuty(duty) {
  const found = bands.get(duty.sub_band);
  if (!found) return;
  const share = Math.min(1, duty.used_share ?? 0);
  found.meter.style.width = `${(100 * share).toFixed(1)}%`;
  mark(found.meter, "data-tone", share > 0.9 ? "bad" : share > 0.6 ? "warn" : null);
  const text = duty.transmitters ? `${percent(share)} used` : "unused";
  say(found.used, text);
  const most = duty.top?.[0] ? `, most by ${duty.top[0].device}` : "";
  const told = `duty cycle: the busiest of ${plural(duty.transmitters, "transmitter")} has used ${percent(share)} of its hour`;
  mark(found.head, "title", `${told}${most}`);
  mark(found.group, "aria-label", `${found.label}, ${found.band.direction}, ${found.limits}, ${told}`);
}

function choose(key) {
  select(key);
  cells.get(key)?.row.focus({ preventScroll: true });
}

/** The row beside a row, for arrows and for the cursor on the picture. */
export function besides(key, by) {
  const keys = [...cells.keys()];
  return keys[Math.max(0, Math.min(keys.length - 1, keys.indexOf(key) + by))] ?? null;
}

function moveBy(event) {
  const keys = [...cells.keys()];
  const here = document.activeElement?.dataset.key ?? state.selected ?? keys[0];
  const to = { ArrowDown: besides(here, 1), ArrowUp: besides(here, -1), Home: keys[0], End: keys.at(-1) }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  choose(to);
  cells.get(to).row.scrollIntoView({ block: "nearest" });
}

function trimmed(mhz) {
  return mhz.toFixed(2).replace(/0$/, "");
}
