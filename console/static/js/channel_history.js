// The columns of the channel map: for each subchannel the peak level and whether it was busy, by time, in a ring.

export const NOTHING = 0;
export const IDLE = 1;
export const BUSY = 2;

/** A ring of `columns` columns of `step_s` each. Column n holds the times [n step_s, (n + 1) step_s). */
export class ChannelHistory {
  constructor(span_s, columns) {
    this.span_s = span_s;
    this.columns = columns;
    this.step_s = span_s / columns;
    this.rows = new Map();
    this.newest = -Infinity;
  }

  /** The number of the column that holds a time. */
  columnOf(time_s) {
    return Math.floor(time_s / this.step_s);
  }

  row(key) {
    let found = this.rows.get(key);
    if (!found) {
      found = {
        column: new Float64Array(this.columns).fill(-1),
        energy_dbfs: new Float32Array(this.columns).fill(NaN),
        threshold_dbfs: new Float32Array(this.columns).fill(NaN),
        noise_dbfs: new Float32Array(this.columns).fill(NaN),
        state: new Uint8Array(this.columns),
      };
      this.rows.set(key, found);
    }
    return found;
  }

  /** One reading; several of one column keep the strongest level, and busy once is busy. */
  add(key, time_s, { energy_dbfs, threshold_dbfs, noise_dbfs = null, busy }) {
    const column = this.columnOf(time_s);
    if (column <= this.newest - this.columns) return;
    if (column > this.newest) this.newest = column;
    const row = this.row(key);
    const place = column % this.columns;
    const state = busy === null || energy_dbfs === null ? NOTHING : busy ? BUSY : IDLE;
    if (row.column[place] !== column) {
      row.column[place] = column;
      row.energy_dbfs[place] = NaN;
      row.threshold_dbfs[place] = NaN;
      row.noise_dbfs[place] = NaN;
      row.state[place] = NOTHING;
    }
    if (state === NOTHING) return;
    if (!(row.energy_dbfs[place] >= energy_dbfs)) row.energy_dbfs[place] = energy_dbfs;
    row.threshold_dbfs[place] = threshold_dbfs ?? NaN;
    if (noise_dbfs !== null) row.noise_dbfs[place] = noise_dbfs;
    if (state > row.state[place]) row.state[place] = state;
  }

  /** Take in what `GET /api/history/channels` answers. Columns longer than ours fill all that they cover. */
  take(found) {
    const repeat = Math.max(1, Math.round(found.step_s / this.step_s));
    for (const one of found.subchannels) {
      found.times_s.forEach((start_s, i) => {
        if (one.energy_dbfs[i] === null) return;
        const reading = {
          energy_dbfs: one.energy_dbfs[i],
          threshold_dbfs: one.threshold_dbfs[i],
          busy: one.busy_share[i] === null ? null : one.busy_share[i] > 0,
        };
        for (let k = 0; k < repeat; k += 1) {
          const middle_s = start_s + (k + 0.5) * (found.step_s / repeat);
          if (middle_s < found.to_s) this.add(one.key, middle_s, reading);
        }
      });
    }
  }

  /** Where a column of a row is kept, or -1 when it holds nothing of that time. */
  place(row, column) {
    const place = ((column % this.columns) + this.columns) % this.columns;
    return row.column[place] === column ? place : -1;
  }

  /** The reading of a subchannel at a time: {energy_dbfs, threshold_dbfs, state}, or null. */
  at(key, time_s) {
    const row = this.rows.get(key);
    const place = row ? this.place(row, this.columnOf(time_s)) : -1;
    if (place < 0 || row.state[place] === NOTHING) return null;
    return {
      energy_dbfs: row.energy_dbfs[place],
      threshold_dbfs: row.threshold_dbfs[place],
      state: row.state[place],
    };
  }

  /** Levels between which the colours are spread: a little under the quietest floor, to the loudest. */
  range() {
    const levels = [];
    for (const row of this.rows.values()) {
      for (let i = 0; i < this.columns; i += 1) {
        if (row.column[i] > this.newest - this.columns && row.state[i] !== NOTHING) levels.push(row.energy_dbfs[i]);
      }
    }
    if (!levels.length) return [-100, -40];
    levels.sort((a, b) => a - b);
    const low = Math.floor(levels[Math.floor(levels.length * 0.02)] / 5) * 5;
    const high = Math.ceil(levels[Math.floor(levels.length * 0.995)] / 5) * 5;
    return [low, Math.max(high, low + 20)];
  }

  /** The series of one subchannel between two times, for a chart: [[time_s], [E_c], [E_th], [noise]]. */
  series(key, from_s, to_s) {
    const times_s = [];
    const energy = [];
    const threshold = [];
    const noise = [];
    const row = this.rows.get(key);
    if (!row) return [times_s, energy, threshold, noise];
    const value = (array, place) => (place < 0 || Number.isNaN(array[place]) ? null : array[place]);
    for (let column = this.columnOf(from_s); column <= this.columnOf(to_s); column += 1) {
      const place = this.place(row, column);
      times_s.push((column + 0.5) * this.step_s);
      energy.push(value(row.energy_dbfs, place));
      threshold.push(value(row.threshold_dbfs, place));
      noise.push(value(row.noise_dbfs, place));
    }
    return [times_s, energy, threshold, noise];
  }
}
