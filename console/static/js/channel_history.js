// The columns of the channel map: for each subchannel the peak level and how often it was busy, by time, in a ring.

export const NOTHING = 0;
export const IDLE = 1;
export const BUSY = 2;

/** As many deviations above its false alarms is a column called busy. */
const DEVIATIONS = 3;

/** How many of `looks` may be busy by false alarms alone, when each is one with probability `pf`. */
function falseAlarms(looks, pf) {
  return looks * pf + DEVIATIONS * Math.sqrt(looks * pf * (1 - pf));
}

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
        looks: new Float32Array(this.columns),
        busy: new Float32Array(this.columns),
        pf: new Float32Array(this.columns),
      };
      this.rows.set(key, found);
    }
    return found;
  }

  /**
   * Readings of one time: the strongest level is kept, looks and busy ones are counted.
   * busy: whether, or for `looks` of them how many. pf: the probability that a look is a false alarm.
   */
  add(key, time_s, { energy_dbfs, threshold_dbfs, noise_dbfs = null, busy, pf = 0, looks = 1 }) {
    const column = this.columnOf(time_s);
    if (column <= this.newest - this.columns) return;
    if (column > this.newest) this.newest = column;
    const row = this.row(key);
    const place = column % this.columns;
    if (row.column[place] !== column) this.empty(row, place, column);
    if (busy === null || energy_dbfs === null) return;
    if (!(row.energy_dbfs[place] >= energy_dbfs)) row.energy_dbfs[place] = energy_dbfs;
    row.threshold_dbfs[place] = threshold_dbfs ?? NaN;
    if (noise_dbfs !== null) row.noise_dbfs[place] = noise_dbfs;
    row.looks[place] += looks;
    row.busy[place] += Number(busy);
    row.pf[place] = pf ?? 0;
  }

  empty(row, place, column) {
    row.column[place] = column;
    row.energy_dbfs[place] = NaN;
    row.threshold_dbfs[place] = NaN;
    row.noise_dbfs[place] = NaN;
    row.looks[place] = 0;
    row.busy[place] = 0;
  }

  /**
   * Take in what `GET /api/history/channels` answers, where nothing is known yet. Its columns may be longer than ours
   * and then fill all that they cover. sensing: {pf, interval_s} of the sensors behind it.
   */
  take(found, { pf, interval_s }) {
    const repeat = Math.max(1, Math.round(found.step_s / this.step_s));
    const looks = Math.max(1, found.step_s / interval_s);
    for (const one of found.subchannels) {
      found.times_s.forEach((start_s, i) => {
        if (one.energy_dbfs[i] === null) return;
        for (let k = 0; k < repeat; k += 1) {
          const middle_s = start_s + ((k + 0.5) * found.step_s) / repeat;
          if (middle_s >= found.to_s || this.at(one.key, middle_s)) continue;
          const [energy_dbfs, threshold_dbfs] = [one.energy_dbfs[i], one.threshold_dbfs[i]];
          const busy = one.busy_share[i] === null ? null : one.busy_share[i] * looks;
          this.add(one.key, middle_s, { energy_dbfs, threshold_dbfs, busy, pf, looks });
        }
      });
    }
  }

  /** NOTHING, IDLE or BUSY: busy is what false alarms do not explain. */
  stateAt(row, place) {
    if (place < 0 || row.looks[place] === 0) return NOTHING;
    return row.busy[place] > falseAlarms(row.looks[place], row.pf[place]) ? BUSY : IDLE;
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
    if (place < 0 || row.looks[place] === 0) return null;
    return {
      energy_dbfs: row.energy_dbfs[place],
      threshold_dbfs: row.threshold_dbfs[place],
      state: this.stateAt(row, place),
    };
  }

  /** Levels between which the colours are spread, from the quietest floor to the loudest; null while none is known. */
  range() {
    const levels = [];
    for (const row of this.rows.values()) {
      for (let i = 0; i < this.columns; i += 1) {
        if (row.column[i] > this.newest - this.columns && row.looks[i] > 0) levels.push(row.energy_dbfs[i]);
      }
    }
    if (!levels.length) return null;
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
