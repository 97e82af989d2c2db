// What the channel map shows by time: live columns as they come, recorded ones as they are asked for, and the leases.

import { ask, newest } from "./api.js";
import { ChannelHistory } from "./channel_history.js";
import { changed, isPast, shownTime, state } from "./state.js";

const COLUMNS = 300;
/** The map shows this share of its span beyond now: leases that are still to come. */
const AHEAD = 0.08;

let span_s = 300;
let live = new ChannelHistory(span_s, COLUMNS);
let past = null;
let leases = new Map();
let pastLeases = new Map();
const onlyNewest = newest();

const leaseName = (lease) => `${lease.key}|${lease.device}|${lease.start_s}`;

export const timeline = {
  /** Columns that are shown now. */
  get history() {
    return isPast() && past ? past : live;
  },

  get leases() {
    return (isPast() ? pastLeases : leases).values();
  },

  /** [from_s, now_s, to_s]: left edge, the instant shown, right edge. */
  get window() {
    const now_s = shownTime() ?? Date.now() / 1e3;
    return [now_s - span_s, now_s, now_s + AHEAD * span_s];
  },

  get span_s() {
    return span_s;
  },

  /** Another span: what stands is dropped and asked for anew. */
  async setSpan(seconds) {
    span_s = seconds;
    live = new ChannelHistory(span_s, COLUMNS);
    leases = new Map();
    logLeases(state.live.leases);
    changed("history");
    await timeline.load();
  },

  /** Recorded columns of the span that is shown; the feed's own come on top. Refused when the server cannot. */
  async load() {
    const at_s = shownTime() ?? Date.now() / 1e3;
    const wasPast = isPast();
    const found = await onlyNewest(() =>
      ask("/api/history/channels", { from_s: at_s - span_s, to_s: at_s, columns: COLUMNS }),
    );
    if (!found || wasPast !== isPast()) return;
    if (wasPast) {
      past = new ChannelHistory(span_s, COLUMNS);
      past.take(found, sensing());
      pastLeases = new Map(found.leases.map((lease) => [leaseName(lease), lease]));
    } else {
      live.take(found, sensing());
      for (const lease of found.leases) if (!leases.has(leaseName(lease))) leases.set(leaseName(lease), lease);
    }
    changed("history");
  },

  /** A `channels` message of the feed. */
  addChannels({ time_s, subchannels }) {
    for (const channel of subchannels) live.add(channel.key, time_s, channel);
  },

  /** A `leases` message of the feed. */
  addLeases: logLeases,
};

/** The sensors behind recorded columns: their highest Pf by design, and how often they look. */
function sensing() {
  const sensors = state.site.sensors;
  return {
    pf: sensors.reduce((most, sensor) => Math.max(most, sensor.pf), 0),
    interval_s: sensors.reduce((most, sensor) => Math.max(most, sensor.interval_s), 0.01),
  };
}

/** Remember every lease for as long as it is on the map; one that goes before its end has ended then. */
function logLeases(message) {
  if (!message) return;
  const named = new Map(message.leases.map((lease) => [leaseName(lease), lease]));
  for (const [name, lease] of leases) {
    if (lease.end_s < message.time_s - span_s) leases.delete(name);
    else if (!named.has(name) && lease.end_s > message.time_s) {
      if (lease.start_s < message.time_s) leases.set(name, { ...lease, end_s: message.time_s });
      else leases.delete(name);
    }
  }
  for (const [name, lease] of named) leases.set(name, lease);
}
