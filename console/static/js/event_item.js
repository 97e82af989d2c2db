// One event as a line of a list.

import { h } from "./dom.js";
import { timeElement } from "./times.js";
import { SEVERITIES, channelName } from "./words.js";

export function eventItem(event) {
  const { word, sign, tone } = SEVERITIES[event.severity] ?? SEVERITIES.info;
  return h(
    "li",
    { class: "event", "data-tone": tone || null, "data-kind": event.kind },
    h("span", { class: "sign", title: word, "aria-label": word, role: "img", text: sign }),
    timeElement(event.time_s),
    h("span", { class: "event-kind", text: event.kind.replaceAll("_", " ") }),
    h("span", { class: "event-text", text: textOf(event) }),
    h(
      "span",
      { class: "event-about" },
      event.device &&
        h("a", { href: `#/devices/${encodeURIComponent(event.device)}`, class: "mono", text: event.device }),
      event.key && h("a", { href: `#/channels/${event.key}`, text: channelName(event.key) }),
      event.gateway && !event.device && h("a", { href: "#/gateways", text: event.gateway }),
    ),
  );
}

/** The line without the name in front, which stands behind it as a link. */
function textOf({ text, device, gateway }) {
  const name = device ?? gateway;
  return name && text.startsWith(name) ? text.slice(name.length).replace(/^[:\s]+/, "") || text : text;
}
