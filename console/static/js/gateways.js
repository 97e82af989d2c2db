// Gateways: whether their agents are there, and what their downlinks have used of the duty cycle.

import { dutyLine } from "./device_panel.js";
import { byId, h, keep, mark, say } from "./dom.js";
import { view } from "./frame.js";
import { seen } from "./routes.js";
import { shown } from "./state.js";
import { setTime, timeElement } from "./times.js";
import { metres, plural } from "./units.js";
import { GATEWAY_STATES } from "./words.js";

const RADIOS = {
  virtual: "virtual devices",
  "semtech-udp": "Semtech UDP",
  mqtt: "MQTT bridge",
  sigfox: "SigFox test endpoints",
};

let cards = null;
let empty = null;

export function startGateways() {
  view("gateways", draw, { every_ms: 500, ...seen("gateways") });
  cards = h("ul", { class: "cards", "aria-label": "Gateways" });
  empty = h(
    "div",
    { class: "panel empty" },
    h("strong", { text: "No gateway is known" }),
    "The site file names none, and no agent has registered.",
  );
  byId("view-gateways").append(empty, cards);
}

function draw() {
  const found = shown("gateways")?.gateways ?? [];
  empty.hidden = found.length > 0;
  keep(cards, found, (gateway) => gateway.gateway, make, update);
}

function make(gateway) {
  const parts = {
    state: h("span", { class: "tag" }),
    since: timeElement(null),
    radio: h("span"),
    uplink: timeElement(null),
    leases: h("span"),
    controller: h("span", { class: "mono" }),
    place: h("span"),
    duties: h("ul", { class: "duties" }),
    unused: h("p", { class: "muted", text: "No downlink in the last hour." }),
  };
  const fact = (term, value) => h("div", {}, h("dt", { text: term }), h("dd", {}, value));
  const made = h(
    "li",
    { class: "panel card" },
    h("header", { class: "panel-head" }, h("h2", { text: gateway.gateway }), parts.state),
    h(
      "dl",
      { class: "facts" },
      fact("Since", parts.since),
      fact("Radio", parts.radio),
      fact("Last uplink", parts.uplink),
      fact("Leases now", parts.leases),
      fact("Controller", parts.controller),
      fact("Place", parts.place),
    ),
    h("h3", { class: "part", text: "Downlink duty cycle of the last hour" }),
    parts.duties,
    parts.unused,
  );
  made.parts = parts;
  return made;
}

function update(made, gateway) {
  const { parts } = made;
  say(parts.state, gateway.state);
  mark(parts.state, "data-tone", GATEWAY_STATES[gateway.state] ?? "warn");
  setTime(parts.since, gateway.since_s);
  say(
    parts.radio,
    `${RADIOS[gateway.radio] ?? gateway.radio ?? "–"}${gateway.radio_state ? `: ${gateway.radio_state}` : ""}`,
  );
  setTime(parts.uplink, gateway.last_uplink_s);
  say(parts.leases, plural(gateway.leases_now ?? 0, "lease"));
  say(parts.controller, gateway.controller ?? "–");
  say(
    parts.place,
    gateway.position_m ? `${metres(gateway.position_m[0])} east, ${metres(gateway.position_m[1])} north` : "not placed",
  );
  const used = gateway.downlink ?? [];
  const text = JSON.stringify(used);
  if (parts.duties.dataset.text !== text) {
    parts.duties.dataset.text = text;
    parts.duties.replaceChildren(...used.map(dutyLine));
  }
  parts.unused.hidden = used.length > 0;
}
