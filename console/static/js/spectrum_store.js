// The rows of every sensor's waterfall, as the feed brings them: in a ring, as bytes.

const ROWS = 400;

export class SpectrumStore {
  constructor() {
    this.sensors = new Map();
  }

  /** Rows as docs/console.md describes them. */
  add(rows) {
    for (const row of rows) {
      let kept = this.sensors.get(row.sensor);
      if (!kept || kept.bins !== row.bins || kept.center_hz !== row.center_hz || kept.span_hz !== row.span_hz) {
        // tuned anew: rows of another width cannot stand above these
        kept = { bins: row.bins, center_hz: row.center_hz, span_hz: row.span_hz, rows: [], added: 0 };
        this.sensors.set(row.sensor, kept);
      }
      kept.rows.push(rowOf(row));
      kept.added += 1;
      if (kept.rows.length > ROWS) kept.rows.shift();
    }
  }

  /** Older rows of one sensor, under those that have come already. */
  addBefore(rows) {
    if (!rows.length) return;
    const { sensor, bins, center_hz, span_hz } = rows[0];
    const newer = this.sensors.get(sensor);
    if (newer && (newer.bins !== bins || newer.center_hz !== center_hz || newer.span_hz !== span_hz)) return;
    const first_s = newer?.rows[0]?.time_s ?? Infinity;
    const older = rows.filter((row) => row.time_s < first_s && row.bins === bins).map(rowOf);
    const all = [...older, ...(newer?.rows ?? [])].slice(-ROWS);
    // A new object, so that the picture is drawn anew.
    this.sensors.set(sensor, { bins, center_hz, span_hz, rows: all, added: all.length });
  }
}

function rowOf({ time_s, interval_s, floor_dbfs, step_db, levels }) {
  return { time_s, interval_s, floor_dbfs, step_db, levels: bytesOf(levels) };
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** [quiet, loud] levels of rows in dBFS, for the colours: the 10 % quantile, and the strongest with a little room. */
export function levelRange(rows) {
  const counts = new Map();
  let total = 0;
  for (const { levels, floor_dbfs: floor, step_db: step } of rows.slice(-60)) {
    for (const byte of levels) {
      const level = Math.round(floor + byte * step);
      counts.set(level, (counts.get(level) ?? 0) + 1);
      total += 1;
    }
  }
  if (!total) return [-100, -40];
  const levels = [...counts.keys()].sort((a, b) => a - b);
  let seen = 0;
  const low = levels.find((level) => (seen += counts.get(level)) >= 0.1 * total);
  return [low - 2, Math.max(low + 20, levels.at(-1))];
}
