// One device: what is known of its rhythm, where it has been, and why it is where it is.

import { evict } from "./actions.js";
import { ask, newest } from "./api.js";
import { deviceState, outageText, periodText } from "./devices.js";
import { h, mark, svg } from "./dom.js";
import { eventItem } from "./event_item.js";
import { explanation } from "./explain.js";
import { stale } from "./frame.js";
import { isPast, shown } from "./state.js";
import { whyElements } from "./subchannel_panel.js";
import { timeElement, timeOfDay } from "./times.js";
import { count, duration, percent, probability } from "./units.js";
import { TECHNOLOGIES, channelName, tag } from "./words.js";

const AGAIN_MS = 5000;

let panel = null;
let found = null;
let problem = "";
let asked_ms = -Infinity;
let name = null;
const onlyNewest = newest();

export function startDevicePanel(element) {
  panel = element;
  panel.append(h("p", { class: "empty" }, h("strong", { text: "No device chosen" }), "Choose one in the table."));
}

export function openDevice(device) {
  if (device !== name) found = null;
  name = device;
  asked_ms = -Infinity;
  load();
}

async function load() {
  asked_ms = performance.now();
  try {
    const answer = await onlyNewest(() => ask(`/api/devices/${encodeURIComponent(name)}`));
    if (answer === undefined) return;
    found = answer;
    problem = "";
  } catch (error) {
    problem = error.message;
  }
  stale("device");
}

export function drawDevice(chosen) {
  if (!chosen) return;
  if (!isPast() && performance.now() - asked_ms > AGAIN_MS) load();
  const device = shown("devices")?.devices.find((one) => one.device === chosen) ?? found?.device ?? null;
  if (!device && !found) {
    panel.drawnFrom = null;
    panel.replaceChildren(h("p", { class: "empty" }, h("strong", { text: chosen }), problem || "Looking it up …"));
    return;
  }
  const text = JSON.stringify([
    chosen,
    device,
    found,
    problem,
    isPast(),
    leasesOf(chosen).map((lease) => lease.lease_id),
  ]);
  if (text === panel.drawnFrom) return; // written anew only when something changed: text stays selected, details open
  panel.drawnFrom = text;
  const open = [...panel.querySelectorAll("details")].map((one) => one.open);
  const focus = panel.contains(document.activeElement)
    ? [...panel.querySelectorAll("a, button, summary")].indexOf(document.activeElement)
    : -1;
  panel.replaceChildren(...sections(chosen, device));
  panel.querySelectorAll("details").forEach((one, i) => (one.open = open[i] ?? one.open));
  if (focus >= 0) panel.querySelectorAll("a, button, summary")[focus]?.focus({ preventScroll: true });
}

function sections(chosen, device) {
  const state = device ? h("span", tag(...deviceState(device))) : null;
  return [
    h("header", { class: "panel-head" }, h("h2", { class: "mono", text: chosen }), h("span", { class: "tags" }, state)),
    ...(device ? [facts(device)] : []),
    ...leasesOf(chosen).map(leaseLine),
    ...(found ? [...history(found.history), ...duty(found.duty), ...why(found.decision), ...events(found.events)] : []),
    ...(problem ? [h("p", { class: "muted", text: problem })] : []),
  ];
}

function leasesOf(device) {
  return (shown("leases")?.leases ?? []).filter((lease) => lease.device === device);
}

function facts(device) {
  const rows = [
    ["Last seen", timeElement(device.last_seen_s)],
    ["Next expected", device.next_s === null ? "–" : timeElement(device.next_s)],
    ["Period", periodText(device)],
    ["Outage", outageText(device)],
    ["Offline with probability", probability(device.offline_probability)],
    ["Technology", TECHNOLOGIES[device.technology] ?? "–"],
    ["Gateway", device.gateway ?? "–"],
    ["Received", count(device.receptions)],
  ];
  return h(
    "dl",
    { class: "facts" },
    rows.map(([term, value]) => h("div", {}, h("dt", { text: term }), h("dd", {}, value))),
  );
}

function leaseLine(lease) {
  return h(
    "p",
    { class: "lease-line" },
    h("a", { href: `#/channels/${lease.key}`, text: channelName(lease.key) }),
    h("span", { class: "muted" }, "leased until ", timeElement(lease.end_s)),
    h("button", {
      type: "button",
      class: "small",
      text: "Evict…",
      "aria-label": `Evict ${lease.device}`,
      disabled: isPast(),
      onclick: () => evict(lease),
    }),
  );
}

/** Subchannels by time, as marks on lanes: one lane a subchannel. */
function history(leases) {
  if (!leases.length)
    return [
      h("h3", { class: "part", text: "Subchannel history" }),
      h("p", { class: "muted", text: "No lease is recorded." }),
    ];
  const lanes = [...new Set(leases.map((lease) => lease.key))].sort(
    (a, b) => Number(a.split("/")[0]) - Number(b.split("/")[0]),
  );
  const from_s = Math.min(...leases.map((lease) => lease.start_s));
  const to_s = Math.max(...leases.map((lease) => lease.end_s));
  const width = 420;
  const left = 92;
  const x = (time_s) => left + ((time_s - from_s) / Math.max(1, to_s - from_s)) * (width - left - 4);
  const picture = svg(
    "svg",
    {
      viewBox: `0 0 ${width} ${lanes.length * 20 + 20}`,
      class: "lanes",
      role: "img",
      "aria-label": `${leases.length} leases on ${lanes.length} subchannels: ${lanes.map(channelName).join(", ")}`,
    },
    lanes.map((key, i) => svg("text", { x: 0, y: i * 20 + 14, text: channelName(key) })),
    lanes.map((_, i) => svg("line", { x1: left, x2: width, y1: i * 20 + 10, y2: i * 20 + 10, class: "lane" })),
    leases.map((lease) =>
      svg("rect", {
        x: x(lease.start_s),
        width: Math.max(3, x(lease.end_s) - x(lease.start_s)),
        y: lanes.indexOf(lease.key) * 20 + 4,
        height: 12,
        class: lease.forced ? "forced" : "granted",
      }),
    ),
    svg("text", { x: left, y: lanes.length * 20 + 15, text: timeOfDay(from_s) }),
    svg("text", { x: width, y: lanes.length * 20 + 15, "text-anchor": "end", text: timeOfDay(to_s) }),
  );
  return [h("h3", { class: "part", text: "Subchannel history" }), picture];
}

function duty(ledgers) {
  if (!ledgers.length) return [];
  return [
    h("h3", { class: "part", text: "Duty cycle of the last hour" }),
    h("ul", { class: "duties" }, ledgers.map(dutyLine)),
  ];
}

/** One transmitter's use of one sub-band; gateways show theirs the same way. */
export function dutyLine({ sub_band: band, used_s: used, budget_s: budget, used_share: share }) {
  const fill = h("span");
  fill.style.width = `${100 * Math.min(1, share)}%`;
  mark(fill, "data-tone", share > 0.9 ? "bad" : share > 0.6 ? "warn" : null);
  return h(
    "li",
    {},
    h("b", { text: band }),
    h("span", { class: "meter", "aria-hidden": "true" }, fill),
    h("span", { text: `${duration(used)} of ${duration(budget)} (${percent(share)})` }),
  );
}

function why(decision) {
  const told = explanation(decision);
  if (!told) return [];
  return [h("h3", { class: "part", text: "Why its subchannel" }), h("div", { class: "why" }, whyElements(told))];
}

function events(list) {
  if (!list.length) return [];
  return [
    h(
      "details",
      {},
      h("summary", { text: `Its last ${list.length} events` }),
      h("ol", { class: "events" }, list.map(eventItem)),
    ),
  ];
}
