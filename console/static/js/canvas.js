// What every canvas needs: sharp pixels, hatching, and ticks of time.

import { isUtc, timeOfDay } from "./times.js";

/** Fit a canvas to its box at the screen's resolution; returns {context, width, height} in CSS pixels. */
export function fit(canvas) {
  const ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const wide = Math.max(1, Math.round(width * ratio));
  const high = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.imageSmoothingEnabled = false;
  return { context, width, height };
}

const hatches = new Map();

/** A pattern of lines: "/" or "x" or ".", as a fill style. */
export function hatch(context, kind, colour, size = 6) {
  const name = `${kind}${colour}${size}`;
  let tile = hatches.get(name);
  if (!tile) {
    tile = new OffscreenCanvas(size, size);
    const on = tile.getContext("2d");
    on.strokeStyle = on.fillStyle = colour;
    on.lineWidth = 1.3;
    on.beginPath();
    if (kind === ".") on.arc(size / 2, size / 2, 0.9, 0, 7);
    for (const shift of kind === "." ? [] : [-size, 0, size]) {
      on.moveTo(shift, size);
      on.lineTo(shift + size, 0);
      if (kind === "x") {
        on.moveTo(shift, 0);
        on.lineTo(shift + size, size);
      }
    }
    if (kind === ".") on.fill();
    else on.stroke();
    hatches.set(name, tile);
    if (hatches.size > 64) hatches.delete(hatches.keys().next().value);
  }
  return context.createPattern(tile, "repeat");
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400];

/** Round times of the zone that is shown between two, about `wanted` of them: [{at_s, text}]. */
export function timeTicks(from_s, to_s, wanted) {
  const step_s = STEPS_S.find((step) => (to_s - from_s) / step <= wanted) ?? STEPS_S.at(-1);
  const shift_s = step_s >= 600 && !isUtc() ? new Date(to_s * 1e3).getTimezoneOffset() * 60 : 0;
  const ticks = [];
  for (let at_s = Math.ceil((from_s - shift_s) / step_s) * step_s + shift_s; at_s <= to_s; at_s += step_s) {
    const text = timeOfDay(at_s);
    ticks.push({ at_s, text: step_s >= 60 ? text.slice(0, 5) : text });
  }
  return ticks;
}
