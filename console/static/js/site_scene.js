// What stands on the site map and where, and its picture.

import { fit, hatch } from "./canvas.js";
import { POWER_WORDS, ink, stepOf } from "./colours.js";
import { h } from "./dom.js";
import { deviceState } from "./devices.js";
import { metres } from "./units.js";
import { GATEWAY_STATES, SENSOR_STATES } from "./words.js";

const SIGNS = { sensor: "▲", gateway: "◆", device: "●" };

/**
 * {placed: [{kind, name, east_m, north_m, word, tone}], field: the answer of /api/map or null, box: {west_m, east_m, south_m, north_m},
 * empty}. The box holds everything that has a place, with a margin, and the whole field.
 */
export function sceneOf(site, sensors, gateways, devices, field) {
  const at = (kind, name, position, word, tone) =>
    position && { kind, name, east_m: position[0], north_m: position[1], word, tone };
  const placed = [
    ...(devices?.devices ?? []).map((d) => at("device", d.device, d.position_m, ...deviceState(d))),
    ...(gateways?.gateways ?? []).map((g) =>
      at("gateway", g.gateway, g.position_m, g.state, GATEWAY_STATES[g.state] ?? "warn"),
    ),
    ...(sensors?.sensors ?? []).map((s) =>
      at(
        "sensor",
        s.sensor,
        s.position_m,
        s.stale ? "stale" : s.state,
        s.stale ? "bad" : (SENSOR_STATES[s.state] ?? "warn"),
      ),
    ),
  ].filter(Boolean);
  return { placed, field, box: boxOf(placed, field), empty: placed.length === 0 };
}

function boxOf(placed, field) {
  const east = [...placed.map((one) => one.east_m), ...(field ? [field.east_m[0], field.east_m.at(-1)] : [])];
  const north = [...placed.map((one) => one.north_m), ...(field ? [field.north_m[0], field.north_m.at(-1)] : [])];
  const [west_m, east_m] = [Math.min(...east), Math.max(...east)];
  const [south_m, north_m] = [Math.min(...north), Math.max(...north)];
  const margin_m = Math.max(20, 0.06 * Math.max(east_m - west_m, north_m - south_m));
  return {
    west_m: west_m - margin_m,
    east_m: east_m + margin_m,
    south_m: south_m - margin_m,
    north_m: north_m + margin_m,
  };
}

/** Draw; returns [low, high, unit] of the colours, or null without a field. */
export function drawScene({ canvas, marks }, scene, showing, uncertain_db) {
  const { context, width, height } = fit(canvas);
  const { box } = scene;
  const scale = Math.min(width / (box.east_m - box.west_m), height / (box.north_m - box.south_m));
  const left = (width - scale * (box.east_m - box.west_m)) / 2;
  const top = (height - scale * (box.north_m - box.south_m)) / 2;
  const x = (east_m) => left + (east_m - box.west_m) * scale;
  const y = (north_m) => top + (box.north_m - north_m) * scale;
  context.fillStyle = ink("map-ground");
  context.fillRect(0, 0, width, height);
  const range = scene.field && drawField(context, scene.field, showing, uncertain_db, x, y);
  drawRuler(context, scale, width, height);
  placeMarks(marks, scene, x, y, width);
  return range;
}

function drawField(context, field, showing, uncertain_db, x, y) {
  const values = showing === "power" ? field.power_db : field.deviation_db;
  const flat = values.flat();
  const low = showing === "power" ? Math.floor(Math.min(...flat)) : 0;
  const high = Math.max(low + 6, Math.ceil(Math.max(...flat)));
  const [rows, columns] = [field.north_m.length, field.east_m.length];
  const picture = new OffscreenCanvas(columns, rows);
  const on = picture.getContext("2d");
  const image = on.createImageData(columns, rows);
  const words = new Uint32Array(image.data.buffer);
  for (let i = 0; i < rows; i += 1) {
    // north_m rises with i, the picture's lines run from the north down
    const line = field.north_m.at(-1) > field.north_m[0] ? rows - 1 - i : i;
    for (let j = 0; j < columns; j += 1) words[line * columns + j] = POWER_WORDS[stepOf(values[i][j], low, high)];
  }
  on.putImageData(image, 0, 0);
  const half_e = Math.abs(field.east_m.at(-1) - field.east_m[0]) / (columns - 1) / 2;
  const half_n = Math.abs(field.north_m.at(-1) - field.north_m[0]) / (rows - 1) / 2;
  const [west, east] = [Math.min(...field.east_m) - half_e, Math.max(...field.east_m) + half_e];
  const [south, north] = [Math.min(...field.north_m) - half_n, Math.max(...field.north_m) + half_n];
  context.imageSmoothingEnabled = true;
  context.drawImage(picture, x(west), y(north), x(east) - x(west), y(south) - y(north));
  context.imageSmoothingEnabled = false;
  context.fillStyle = hatch(context, "/", "rgb(255 255 255 / 34%)", 9);
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0; j < columns; j += 1) {
      if (field.deviation_db[i][j] < uncertain_db) continue;
      const cell = [
        field.east_m[j] - half_e,
        field.north_m[i] + half_n,
        field.east_m[j] + half_e,
        field.north_m[i] - half_n,
      ];
      context.fillRect(x(cell[0]), y(cell[1]), x(cell[2]) - x(cell[0]), y(cell[3]) - y(cell[1]));
    }
  }
  return [low, high, showing === "power" ? field.unit : "dB"];
}

/** How long a round distance is on the picture. */
function drawRuler(context, scale, width, height) {
  const length_m =
    [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000].findLast((one) => one * scale < width / 4) ?? 10;
  const wide = length_m * scale;
  const bottom = height - 14;
  context.fillStyle = ink("panel");
  context.fillRect(10, bottom - 20, wide + 16, 28);
  context.strokeStyle = context.fillStyle = ink("ink");
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(18, bottom - 4);
  context.lineTo(18, bottom);
  context.lineTo(18 + wide, bottom);
  context.lineTo(18 + wide, bottom - 4);
  context.stroke();
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  context.textAlign = "center";
  context.textBaseline = "bottom";
  context.fillText(metres(length_m), 18 + wide / 2, bottom - 4);
}

/** Signs are elements, so that they have names and can be pointed at; only the last drawn is on top: sensors. */
function placeMarks(box, { placed }, x, y, width) {
  box.replaceChildren(
    ...placed.map(({ kind, name, east_m, north_m, word, tone }) => {
      const made = h(
        "span",
        { class: `mark mark-${kind}`, "data-tone": tone || null, title: `${kind} ${name}: ${word}` },
        h("b", { "aria-hidden": "true", text: SIGNS[kind] }),
        kind === "device" ? null : h("span", { text: name }),
      );
      made.style.left = `${x(east_m)}px`;
      made.style.top = `${y(north_m)}px`;
      if (x(east_m) > width * 0.75) made.dataset.side = "left";
      return made;
    }),
  );
}
