// One waterfall: frequency to the right, time downwards, the newest row at the top.

import { fit } from "./canvas.js";
import { POWER_WORDS, ink, stepOf } from "./colours.js";
import { timeOfDay } from "./times.js";

const LEFT = 66;
const TOP = 34;
const ROW_HEIGHT = 2;

/** A picture keeps its rows in an off-screen ring, so that a frame draws the new rows only. */
export class WaterfallPicture {
  constructor(canvas) {
    this.canvas = canvas;
    this.ring = null;
    this.drawn = 0;
    this.range = null;
  }

  /** kept: one sensor's rows of SpectrumStore; range: [low, high] in dBFS; marks: [{low_hz, high_hz, text, chosen}]. */
  draw(kept, range, marks) {
    const { context, width, height } = fit(this.canvas);
    context.clearRect(0, 0, width, height);
    const lines = Math.max(1, Math.floor((height - TOP) / ROW_HEIGHT));
    this.fill(kept, range, lines);
    const wide = width - LEFT;
    const head = this.drawn % lines; // the next line to be written; the newest is the one before it
    const part = (from, count, y) =>
      count > 0 && context.drawImage(this.ring, 0, from, kept.bins, count, LEFT, y, wide, count * ROW_HEIGHT);
    // The ring runs upwards: line `lines - 1 - n % lines` holds row n, so that newer rows lie above older ones.
    part(lines - head, head, TOP);
    part(0, lines - head, TOP + head * ROW_HEIGHT);
    this.axes(context, kept, width, height, marks, lines);
  }

  fill(kept, range, lines) {
    const anew = !this.ring || this.ring.width !== kept.bins || this.ring.height !== lines || this.kept !== kept;
    const recoloured = !this.range || this.range[0] !== range[0] || this.range[1] !== range[1];
    if (anew || recoloured) {
      this.ring = new OffscreenCanvas(kept.bins, lines);
      this.kept = kept;
      this.range = range;
      this.drawn = 0;
    }
    const on = this.ring.getContext("2d");
    const first = kept.added - kept.rows.length;
    // Row numbers keep their place in the ring for good; what came before the oldest kept row is gone.
    if (this.drawn < first) this.drawn = first;
    for (; this.drawn < kept.added; this.drawn += 1) {
      const row = kept.rows[this.drawn - first];
      const image = on.createImageData(kept.bins, 1);
      const words = new Uint32Array(image.data.buffer);
      const table = colourTable(row, range);
      for (let i = 0; i < kept.bins; i += 1) words[i] = table[row.levels[i]];
      on.putImageData(image, 0, lines - 1 - (this.drawn % lines));
    }
  }

  axes(context, kept, width, height, marks, lines) {
    const low_hz = kept.center_hz - kept.span_hz / 2;
    const x = (hz) => LEFT + ((hz - low_hz) / kept.span_hz) * (width - LEFT);
    context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    context.fillStyle = ink("muted");
    context.strokeStyle = ink("line-strong");
    context.textBaseline = "middle";
    context.textAlign = "center";
    const step_hz = [1e5, 2e5, 5e5, 1e6].find((step) => (kept.span_hz / step) * 74 < width - LEFT) ?? 1e6;
    for (let hz = Math.ceil(low_hz / step_hz) * step_hz; hz < low_hz + kept.span_hz; hz += step_hz) {
      const at = Math.round(x(hz)) + 0.5;
      if (at < LEFT + 20 || at > width - 20) continue;
      context.fillText((hz / 1e6).toFixed(1), at, 8);
      context.beginPath();
      context.moveTo(at, 15);
      context.lineTo(at, 19);
      context.stroke();
    }
    for (const mark of marks) {
      const left = Math.max(LEFT, x(mark.low_hz));
      const right = Math.min(width, x(mark.high_hz));
      if (right - left < 1) continue;
      context.fillStyle = mark.chosen ? ink("focus") : ink("line-strong");
      context.fillRect(left, mark.chosen ? 20 : 23, Math.max(1, right - left - 1), mark.chosen ? 9 : 6);
      if (mark.chosen) {
        context.strokeStyle = ink("map-cursor");
        context.setLineDash([4, 4]);
        context.strokeRect(left + 0.5, TOP + 0.5, right - left - 1, height - TOP - 1);
        context.setLineDash([]);
      }
    }
    context.fillStyle = ink("muted");
    context.textAlign = "right";
    for (let line = 0; line < Math.min(lines, kept.rows.length); line += 30) {
      const row = kept.rows[kept.rows.length - 1 - line];
      context.fillText(timeOfDay(row.time_s), LEFT - 8, TOP + line * ROW_HEIGHT + 6);
    }
  }

  /** The level under a place of the canvas: {time_s, hz, level_dbfs}, or null. */
  at(left, top) {
    const kept = this.kept;
    if (!kept || left < LEFT || top < TOP) return null;
    const row = kept.rows[kept.rows.length - 1 - Math.floor((top - TOP) / ROW_HEIGHT)];
    const share = (left - LEFT) / (this.canvas.clientWidth - LEFT);
    if (!row || share >= 1) return null;
    const bin = Math.floor(share * kept.bins);
    return {
      time_s: row.time_s,
      hz: kept.center_hz + (share - 0.5) * kept.span_hz,
      level_dbfs: row.floor_dbfs + row.levels[bin] * row.step_db,
    };
  }
}

function colourTable({ floor_dbfs: floor, step_db: step }, [low, high]) {
  const table = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte += 1) table[byte] = POWER_WORDS[stepOf(floor + byte * step, low, high)];
  return table;
}
