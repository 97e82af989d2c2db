// Words of the interface that several views share.

import { megahertz } from "./units.js";

/** State of a subchannel: word, sign beside it (so that no state is told by colour alone), tone. */
export const CHANNEL_STATES = {
  idle: { word: "idle", sign: "○", tone: "" },
  busy: { word: "busy", sign: "●", tone: "warn" },
  leased: { word: "leased", sign: "◧", tone: "good" },
  banned: { word: "banned", sign: "⊘", tone: "bad" },
  silent: { word: "not sensed", sign: "┄", tone: "bad" },
};

export const TECHNOLOGIES = { lora: "LoRa", sigfox: "SigFox" };

export const SENSING = {
  fresh: { word: "sensing is fresh", tone: "good" },
  held: { word: "sensing is silent: the last good status holds", tone: "warn" },
  silent: { word: "nothing is sensed: access is random", tone: "bad" },
};

export const SENSOR_STATES = { running: "good", stale: "bad", stopped: "warn", failed: "bad", unknown: "warn" };
export const GATEWAY_STATES = { attached: "good", detached: "warn", "given up": "bad", unknown: "warn" };

export const SEVERITIES = {
  info: { word: "info", sign: "·", tone: "" },
  warning: { word: "warning", sign: "▲", tone: "warn" },
  alarm: { word: "alarm", sign: "■", tone: "bad" },
};

/** A subchannel by its key as people call it: `868.100 MHz`. */
export function channelName(key) {
  return key ? megahertz(Number(key.split("/")[0])) : "–";
}

/** A tag with a tone: {class, dataset, text} for h("span", ...). */
export function tag(text, tone = "") {
  return { class: "tag", "data-tone": tone || null, text };
}
