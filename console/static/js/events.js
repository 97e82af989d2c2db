// Events, filtered, live at the top and older ones on demand; beside them what operators have done.

import { ask, newest } from "./api.js";
import { startAudit } from "./audit.js";
import { byId, h, keep, mark, say } from "./dom.js";
import { eventItem } from "./event_item.js";
import { hurry, view } from "./frame.js";
import { isView, onEnter, seen } from "./routes.js";
import { isPast, state } from "./state.js";
import { onTravel } from "./time_bar.js";
import { plural } from "./units.js";
import { channelName } from "./words.js";

const PAGE = 100;
const MOST_SHOWN = 1000;

/** What operators look for, as groups of the recorded kinds. */
const ALARMS = [
  "device_offline",
  "device_silence",
  "device_degraded",
  "device_online",
  "device_recovered",
  "device_period_changed",
  "device_phase_jump",
];
const NETWORK = ["gateway", "backhaul", "database"];
const GROUPS = [
  ["notable", "what stands out", ["forced", "restored", "sensing", "operator", ...NETWORK, ...ALARMS]],
  ["all", "everything", null],
  ["forced", "forced allocations", ["forced"]],
  ["ends", "expiries and releases", ["expired", "released", "restored"]],
  ["sensing", "fallbacks of sensing", ["sensing"]],
  ["alarms", "device alarms", ALARMS],
  ["gateways", "gateways and backhaul", NETWORK],
  ["leases", "leases granted", ["granted", "confirmed", "renewed"]],
  ["operator", "operators", ["operator"]],
];

const parts = {};
let older = [];
let before = null;
let problem = "";
let loading = false;
const onlyNewest = newest();

export function startEvents() {
  view("events", draw, { every_ms: 400, ...seen("events") });
  const again = () => load(true);
  parts.group = h(
    "select",
    { onchange: again },
    GROUPS.map(([value, text]) => h("option", { value, text })),
  );
  parts.severity = h(
    "select",
    { onchange: again },
    ["", "info", "warning", "alarm"].map((value) => h("option", { value, text: value || "any" })),
  );
  parts.text = h("input", {
    type: "search",
    placeholder: "device, gateway, words",
    onchange: again,
    oninput: () => hurry("events"),
  });
  parts.channel = h("select", { onchange: again });
  parts.count = h("span", { class: "muted" });
  parts.list = h("ol", { class: "events", "aria-label": "Events, newest first" });
  parts.more = h("button", { type: "button", text: "Older events", onclick: () => load(false) });
  parts.empty = h("p", { class: "empty" }, h("strong"), h("span"));
  const panel = h(
    "section",
    { class: "panel", "aria-labelledby": "events-title" },
    h(
      "header",
      { class: "panel-head" },
      h("h2", { id: "events-title", text: "Events" }),
      parts.count,
      h("label", { class: "select" }, "Show", parts.group),
      h("label", { class: "select" }, "Severity", parts.severity),
      h("label", { class: "select" }, "Subchannel", parts.channel),
      h("label", { class: "select" }, "Find", parts.text),
    ),
    parts.list,
    parts.empty,
    h("p", { class: "more" }, parts.more),
  );
  const audit = h("section", { class: "panel", "aria-labelledby": "audit-title" });
  byId("view-events").append(h("div", { class: "split wide" }, panel, audit));
  startAudit(audit);
  onEnter("events", (group) => {
    if (GROUPS.some(([value]) => value === group)) parts.group.value = group;
    load(true);
  });
  onTravel(() => isView("events") && load(true));
}

/** The site is known. */
export function fillEventFilters() {
  const options = state.site.subchannels.map((cell) => h("option", { value: cell.key, text: channelName(cell.key) }));
  parts.channel.replaceChildren(h("option", { value: "", text: "any" }), ...options);
}

const kinds = () => GROUPS.find(([value]) => value === parts.group.value)?.[2] ?? null;

async function load(anew) {
  if (loading && !anew) return;
  loading = true;
  try {
    const found = await onlyNewest(() =>
      ask("/api/events", {
        kind: kinds()?.join(","),
        severity: parts.severity.value,
        subchannel: parts.channel.value,
        text: parts.text.value.trim(),
        to_s: state.past_s,
        before: anew ? null : before,
        limit: PAGE,
      }),
    );
    if (!found) return;
    older = anew ? found.events : [...older, ...found.events].slice(-MOST_SHOWN);
    before = found.next;
    problem = "";
  } catch (error) {
    problem = error.message;
  } finally {
    loading = false;
  }
  hurry("events");
}

function wanted(event) {
  const list = kinds();
  if (list && !list.includes(event.kind)) return false;
  if (parts.severity.value && event.severity !== parts.severity.value) return false;
  if (parts.channel.value && event.key !== parts.channel.value) return false;
  const text = parts.text.value.trim().toLowerCase();
  return (
    !text || `${event.kind} ${event.device ?? ""} ${event.gateway ?? ""} ${event.text}`.toLowerCase().includes(text)
  );
}

function draw() {
  const byName = new Map();
  for (const event of [...(isPast() ? [] : state.events), ...older]) if (wanted(event)) byName.set(event.id, event);
  const all = [...byName.values()].sort((a, b) => b.time_s - a.time_s || (a.id < b.id ? 1 : -1)).slice(0, MOST_SHOWN);
  keep(
    parts.list,
    all,
    (event) => event.id,
    eventItem,
    () => {},
  );
  say(parts.count, plural(all.length, "event") + (before ? ", and older ones" : ""));
  parts.more.hidden = !before;
  parts.empty.hidden = all.length > 0;
  mark(parts.list, "hidden", all.length === 0);
  say(parts.empty.firstChild, problem ? "The events cannot be read" : "No such event");
  say(
    parts.empty.lastChild,
    problem ||
      (before ? "Nothing in the part that was searched; look at older ones." : "Nothing like it has been recorded."),
  );
}
