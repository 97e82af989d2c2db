// The site map: sensors, gateways and devices where they stand, over the radio environment map of one subchannel.

import { ask, newest } from "./api.js";
import { powerGradient } from "./colours.js";
import { byId, h, mark, say } from "./dom.js";
import { hurry, view } from "./frame.js";
import { isView, onEnter, seen } from "./routes.js";
import { drawScene, sceneOf } from "./site_scene.js";
import { isPast, select, shown, state } from "./state.js";
import { decibels, metres, plural } from "./units.js";
import { channelName } from "./words.js";

const AGAIN_MS = 10_000;
const CELLS = 48;
/** As many as the server's kriging asks for. */
const LEAST_SENSORS = 3;
/** Where the map is less certain than this, it is hatched: as much as the shadowing it assumes. */
const UNCERTAIN_DB = 6;

const parts = {};
let found = null;
let problem = "";
let asked_ms = -Infinity;
const onlyNewest = newest();

export function startSiteMap() {
  view("site-map", draw, { every_ms: 500, ...seen("map") });
  parts.channel = h("select", { onchange: () => select(parts.channel.value) });
  parts.show = h(
    "fieldset",
    { class: "choice" },
    h("legend", { class: "visually-hidden", text: "Show" }),
    radio("power", "Power", true),
    radio("deviation", "Uncertainty", false),
  );
  parts.canvas = h("canvas", { "aria-hidden": "true" });
  parts.marks = h("div", { class: "map-marks" });
  parts.stage = h("div", { class: "stage" }, parts.canvas, parts.marks);
  parts.low = h("span");
  parts.high = h("span");
  parts.bar = h("i", { class: "bar", "aria-hidden": "true" });
  parts.bar.style.background = powerGradient();
  parts.scale = h("span", { class: "scale" }, parts.low, parts.bar, parts.high);
  parts.note = h("p", { class: "muted", role: "status" });
  parts.list = h("div", { class: "places" });
  const legend = h(
    "div",
    { class: "legend" },
    parts.scale,
    h(
      "span",
      { class: "swatch", "data-pattern": "/" },
      h("i", { class: "fill-uncertain", "aria-hidden": "true" }),
      `± ${UNCERTAIN_DB} dB or worse`,
    ),
    ...[
      ["sensor", "▲", "sensor"],
      ["gateway", "◆", "gateway"],
      ["device", "●", "device"],
    ].map(([kind, sign, text]) =>
      h("span", { class: "swatch" }, h("b", { class: `sign-${kind}`, "aria-hidden": "true", text: sign }), text),
    ),
  );
  byId("view-map").append(
    h(
      "div",
      { class: "split map-split" },
      h(
        "section",
        { class: "panel", "aria-labelledby": "site-map-title" },
        h(
          "header",
          { class: "panel-head" },
          h("h2", { id: "site-map-title", text: "Radio environment" }),
          parts.show,
          h("label", { class: "select" }, "Subchannel", parts.channel),
        ),
        parts.stage,
        legend,
        parts.note,
      ),
      h("section", { class: "panel", "aria-label": "Places" }, parts.list),
    ),
  );
  onEnter("map", (key) => {
    if (state.site?.subchannels.some((cell) => cell.key === key)) select(key);
    load();
  });
  new ResizeObserver(() => hurry("site-map")).observe(parts.stage);
}

function radio(value, text, checked) {
  return h(
    "label",
    {},
    h("input", { type: "radio", name: "map-show", value, checked, onchange: () => hurry("site-map") }),
    ` ${text}`,
  );
}

/** The site is known. */
export function fillSiteMap() {
  parts.channel.replaceChildren(
    ...state.site.subchannels.map((cell) => h("option", { value: cell.key, text: channelName(cell.key) })),
  );
}

async function load() {
  if (!state.selected) return;
  asked_ms = performance.now();
  if (state.site.sensors.filter((sensor) => sensor.position_m).length < LEAST_SENSORS) {
    problem = `The radio environment needs ${LEAST_SENSORS} sensors with a position_m in the site file.`;
    return;
  }
  const key = state.selected;
  try {
    const answer = await onlyNewest(() => ask("/api/map", { subchannel: key, cells: CELLS }));
    if (answer === undefined) return;
    found = { ...answer, key };
    problem = "";
  } catch (error) {
    found = null;
    problem = error.message;
  }
  hurry("site-map");
}

function draw() {
  if (!state.site) return;
  if (parts.channel.value !== state.selected) parts.channel.value = state.selected ?? "";
  const old = performance.now() - asked_ms > AGAIN_MS;
  const other = found && found.key !== state.selected;
  if (isView("map") && !isPast() && (old || (other && performance.now() - asked_ms > 300))) load();
  const scene = sceneOf(
    state.site,
    shown("sensors"),
    shown("gateways"),
    shown("devices"),
    other || isPast() ? null : found,
  );
  parts.stage.hidden = scene.empty;
  const showing = parts.show.querySelector(":checked").value;
  const range = scene.empty ? null : drawScene(parts, scene, showing, UNCERTAIN_DB);
  parts.scale.hidden = !range;
  if (range) {
    say(parts.low, decibels(range[0], range[2], 0));
    say(parts.high, decibels(range[1], range[2], 0));
  }
  say(parts.note, note(scene, range));
  places(scene);
}

function note(scene, range) {
  if (scene.empty) return "Nothing of this site has a place: give position_m in the site file.";
  if (isPast()) return "The radio environment is shown live only; places and states are those of the time shown.";
  if (problem) return problem;
  if (!range) return "The radio environment is being worked out …";
  const error = scene.field.left_out_rms_db;
  return (
    `Kriged from ${plural(scene.field.sensors.length, "sensor")}` +
    `${scene.field.trend ? `, trend ${scene.field.trend}` : ""}` +
    `${error === null || error === undefined ? "" : `; a sensor that is left out is met within ${decibels(error, "dB")} rms`}.`
  );
}

/** The same in words: what stands where. */
function places(scene) {
  const text = JSON.stringify(
    scene.placed.map((one) => [one.kind, one.name, one.east_m, one.north_m, one.word, one.tone]),
  );
  if (parts.list.dataset.text === text) return;
  parts.list.dataset.text = text;
  const kinds = [
    ["sensor", "Sensors", "sensors"],
    ["gateway", "Gateways", "gateways"],
    ["device", "Devices", "devices"],
  ];
  parts.list.replaceChildren(
    ...kinds.flatMap(([kind, title, href]) => {
      const some = scene.placed.filter((one) => one.kind === kind);
      if (!some.length) return [];
      const items = some
        .slice(0, 100)
        .map((one) =>
          h(
            "li",
            {},
            h("a", {
              href: kind === "device" ? `#/devices/${encodeURIComponent(one.name)}` : `#/${href}`,
              text: one.name,
            }),
            h("span", { class: "tag", "data-tone": one.tone || null, text: one.word }),
            h("span", { class: "muted", text: `${metres(one.east_m)} E, ${metres(one.north_m)} N` }),
          ),
        );
      return [h("h2", { class: "part", text: `${title} (${some.length})` }), h("ul", { class: "place-list" }, items)];
    }),
  );
  mark(parts.list, "hidden", scene.placed.length === 0);
}
