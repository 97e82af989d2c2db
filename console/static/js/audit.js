// What operators have done, by whom, and what can be taken back.

import { actionSentence, undo } from "./actions.js";
import { h, keep, say } from "./dom.js";
import { view } from "./frame.js";
import { seen } from "./routes.js";
import { isPast, state } from "./state.js";
import { timeElement } from "./times.js";

let list = null;
let empty = null;

export function startAudit(panel) {
  view("audit", draw, { every_ms: 300, ...seen("events") });
  list = h("ol", { class: "audit", "aria-label": "Operators' actions, newest first" });
  empty = h(
    "p",
    { class: "empty" },
    h("strong", { text: "No action yet" }),
    "Bans, pins, policies and evictions stand here, each with its undo.",
  );
  panel.append(
    h("header", { class: "panel-head" }, h("h2", { id: "audit-title", text: "Operators’ actions" })),
    list,
    empty,
  );
}

function draw() {
  keep(list, state.audit, (entry) => entry.id, make, update);
  empty.hidden = state.audit.length > 0;
}

function make(entry) {
  const told = h("span", { class: "muted" });
  const button = h("button", {
    type: "button",
    class: "small",
    text: "Undo…",
    "aria-label": `Undo: ${actionSentence(entry)}`,
    onclick: () => undo(made.entry),
  });
  const made = h(
    "li",
    { "data-audit": entry.id },
    h("div", { class: "lease-line" }, h("span", { class: "audit-what", text: actionSentence(entry) }), button),
    h(
      "div",
      { class: "lease-line" },
      timeElement(entry.time_s),
      h("span", { class: "muted", text: `by ${entry.by}${entry.undo_of ? ", as an undo" : ""}` }),
      told,
    ),
  );
  made.parts = { told, button };
  return made;
}

function update(made, entry) {
  made.entry = entry;
  say(made.parts.told, entry.undone_by ? "undone since" : "");
  made.parts.button.hidden = !entry.can_undo || Boolean(entry.undone_by);
  made.parts.button.disabled = isPast();
}
