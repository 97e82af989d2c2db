// The channel map's picture: rows of subchannels, columns of time, coloured by power or by state, leases over it.

import { fit, hatch, timeTicks } from "./canvas.js";
import { BUSY, IDLE, NOTHING } from "./channel_history.js";
import { POWER_WORDS, ink, inkWord, stepOf } from "./colours.js";
import { shown, state } from "./state.js";
import { timeline } from "./timeline.js";

export const AXIS_HEIGHT = 22;

let heat = null;

/** The span of levels of the colours; kept steady so that colours mean the same from one frame to the next. */
export const scale = { low: -100, high: -40, at_ms: -Infinity };

/** Draw everything. cursor: {at_s, key} or null; by: "power" or "state". */
export function drawPicture(canvas, layout, by, cursor, now_ms) {
  const { context, width, height } = fit(canvas);
  const [from_s, now_s, to_s] = timeline.window;
  const x = (time_s) => ((time_s - from_s) / (to_s - from_s)) * width;
  if (now_ms - scale.at_ms > 2000) {
    const found = timeline.history.range();
    if (found) [scale.low, scale.high, scale.at_ms] = [...found, now_ms];
  }
  context.clearRect(0, 0, width, height);
  const cells = layout.rows.filter((row) => row.kind === "cell");
  context.fillStyle = ink("map-ground");
  for (const row of cells) context.fillRect(0, row.y, width, row.height - 1);
  drawHeat(context, cells, by, from_s, now_s, x);
  drawRules(context, cells, width);
  drawLeases(context, cells, x, now_s, width);
  drawAxis(context, layout, from_s, to_s, x, width);
  drawNow(context, layout, x(now_s));
  drawChosen(context, cells, width);
  if (cursor) drawCursor(context, cells, cursor, x(cursor.at_s), layout.height);
}

function drawHeat(context, cells, by, from_s, now_s, x) {
  const history = timeline.history;
  const first = history.columnOf(from_s);
  const columns = history.columnOf(now_s) - first + 1;
  if (!heat || heat.width !== columns || heat.height !== cells.length) {
    heat = new OffscreenCanvas(columns, Math.max(1, cells.length));
  }
  const on = heat.getContext("2d");
  const image = on.createImageData(columns, Math.max(1, cells.length));
  const words = new Uint32Array(image.data.buffer);
  const colour = by === "state" ? stateWord(history) : powerWord();
  cells.forEach(({ cell }, number) => {
    const row = history.rows.get(cell.key);
    if (!row) return;
    for (let column = 0; column < columns; column += 1) {
      const place = history.place(row, first + column);
      if (place >= 0) words[number * columns + column] = colour(row, place);
    }
  });
  on.putImageData(image, 0, 0);
  const left = x(first * history.step_s);
  const wide = x((first + columns) * history.step_s) - left;
  cells.forEach(({ y, height }, number) => {
    context.drawImage(heat, 0, number, columns, 1, left, y, wide, height - 1);
    if (by === "state") hatchBusy(context, cells[number], history, first, columns, x);
  });
}

function powerWord() {
  return (row, place) =>
    row.looks[place] === 0 ? 0 : POWER_WORDS[stepOf(row.energy_dbfs[place], scale.low, scale.high)];
}

function stateWord(history) {
  const words = { [NOTHING]: 0, [IDLE]: inkWord("map-idle"), [BUSY]: inkWord("map-busy") };
  return (row, place) => words[history.stateAt(row, place)];
}

/** Busy is told by a pattern too. */
function hatchBusy(context, { cell, y, height }, history, first, columns, x) {
  const row = history.rows.get(cell.key);
  if (!row) return;
  context.fillStyle = hatch(context, "/", ink("map-ground"), 5);
  let start = -1;
  for (let column = 0; column <= columns; column += 1) {
    const place = column < columns ? history.place(row, first + column) : -1;
    const busy = history.stateAt(row, place) === BUSY;
    if (busy && start < 0) start = column;
    if (!busy && start >= 0) {
      const left = x((first + start) * history.step_s);
      context.fillRect(left, y, x((first + column) * history.step_s) - left, height - 1);
      start = -1;
    }
  }
}

/** Rows that operators have banned are crossed out. */
function drawRules(context, cells, width) {
  const banned = new Set(shown("operators")?.banned ?? []);
  for (const { cell, y, height } of cells) {
    if (!banned.has(cell.key)) continue;
    context.fillStyle = hatch(context, "x", ink("map-banned"), 9);
    context.fillRect(0, y, width, height - 1);
  }
}

function drawLeases(context, cells, x, now_s, width) {
  const rows = new Map(cells.map((row) => [row.cell.key, row]));
  for (const lease of timeline.leases) {
    const row = rows.get(lease.key);
    const left = x(lease.start_s);
    const right = x(lease.end_s);
    if (!row || right < 0 || left > width) continue;
    const high = Math.round((row.height - 1) * 0.42);
    const top = row.y + row.height - 1 - high;
    const wide = Math.max(2, right - left);
    const colour = ink(lease.forced ? "map-forced" : "map-lease");
    context.globalAlpha = lease.start_s > now_s ? 0.65 : 1;
    context.fillStyle = ink("panel");
    context.fillRect(left, top, wide, high);
    context.fillStyle = lease.forced ? hatch(context, "x", colour, 5) : colour;
    context.fillRect(left, top + 1, wide, high - 1);
    context.globalAlpha = 1;
    if (wide > 6) {
      context.strokeStyle = colour;
      context.lineWidth = 1;
      context.strokeRect(left + 0.5, top + 0.5, wide - 1, high - 1);
    }
  }
}

function drawAxis(context, layout, from_s, to_s, x, width) {
  context.strokeStyle = ink("line-strong");
  context.fillStyle = ink("muted");
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  context.textBaseline = "middle";
  context.textAlign = "center";
  context.lineWidth = 1;
  for (const { at_s, text } of timeTicks(from_s, to_s, Math.max(2, width / 90))) {
    const at = Math.round(x(at_s)) + 0.5;
    if (at < 24 || at > width - 24) continue;
    context.beginPath();
    context.moveTo(at, layout.height);
    context.lineTo(at, layout.height + 4);
    context.stroke();
    context.fillText(text, at, layout.height + 13);
  }
}

function drawNow(context, layout, at) {
  context.strokeStyle = ink("map-cursor");
  context.setLineDash([3, 3]);
  context.beginPath();
  context.moveTo(Math.round(at) + 0.5, 0);
  context.lineTo(Math.round(at) + 0.5, layout.height);
  context.stroke();
  context.setLineDash([]);
}

function drawChosen(context, cells, width) {
  const row = cells.find(({ cell }) => cell.key === state.selected);
  if (!row) return;
  context.strokeStyle = ink("focus");
  context.lineWidth = 2;
  context.strokeRect(1, row.y, width - 2, row.height - 1);
}

function drawCursor(context, cells, cursor, at, bottom) {
  const row = cells.find(({ cell }) => cell.key === cursor.key);
  context.strokeStyle = ink("map-cursor");
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(Math.round(at) + 0.5, 0);
  context.lineTo(Math.round(at) + 0.5, bottom);
  context.stroke();
  if (row) {
    context.lineWidth = 2;
    context.strokeRect(at - 5, row.y + 1, 10, row.height - 3);
  }
}
