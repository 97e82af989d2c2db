// The time bar: live, or any instant of the recorded hours; it plays too.

import { ask, newest } from "./api.js";
import { toast } from "./dialogs.js";
import { byId, mark, say } from "./dom.js";
import { view } from "./frame.js";
import { isPast, setPast, state } from "./state.js";
import { timeline } from "./timeline.js";
import { moment, now, utcText } from "./times.js";
import { duration } from "./units.js";

/** Played time per time: hours in minutes, minutes at their own pace. */
const SPEEDS = [1, 10, 60];
const TICK_MS = 500;
/** A slider this fine resolves a few seconds of six hours. */
const STEPS = 2000;

const parts = {};
let range = { from_s: 0, to_s: 0 };
let speed = SPEEDS[1];
let playing = 0;
let wanted_s = null;
let busy = false;
const onlyNewest = newest();
const travelled = [];

/** Call `go(at_s)` when another instant is shown; null is now. */
export function onTravel(go) {
  travelled.push(go);
}

export function startTimeBar() {
  for (const id of ["live", "play", "speed", "past", "shown"]) parts[id] = byId(id);
  parts.past.max = String(STEPS);
  parts.past.addEventListener("input", () => travel(timeAt(Number(parts.past.value))));
  parts.live.addEventListener("click", () => travel(null));
  parts.play.addEventListener("click", () => play(!playing));
  parts.speed.addEventListener("click", () => {
    speed = SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length];
    write();
  });
  view("time", write);
  setInterval(follow, 1000);
}

/** How far back the recorded streams reach; asked for now and again, since they are kept in bounds. */
export async function loadRange() {
  const found = await ask("/api/history");
  range = { from_s: found.from_s, to_s: found.to_s };
  write();
}

function timeAt(step) {
  const to_s = now();
  if (step >= STEPS) return null;
  return range.from_s + (step / STEPS) * (to_s - range.from_s);
}

function stepAt(at_s) {
  const to_s = now();
  return Math.round(((at_s - range.from_s) / Math.max(1, to_s - range.from_s)) * STEPS);
}

/** Show an instant; null goes back to now. Only one question is open at a time, the newest wish is asked next. */
async function travel(at_s) {
  if (at_s === null) {
    wanted_s = null;
    play(false);
    setPast(null, null);
    for (const go of travelled) go(null);
    timeline.load().catch(() => write());
    write();
    return;
  }
  wanted_s = Math.max(range.from_s, Math.min(now(), at_s));
  write();
  if (busy) return;
  busy = true;
  try {
    while (wanted_s !== null && wanted_s !== state.past_s) {
      const at = wanted_s;
      const found = await onlyNewest(() => ask("/api/state", { at_s: at }));
      if (wanted_s === null || !found) break;
      setPast(at, found);
      for (const go of travelled) go(at);
      await timeline.load();
    }
  } catch (error) {
    toast(`The past cannot be shown: ${error.message}`);
    play(false);
    if (!isPast()) wanted_s = null;
  } finally {
    busy = false;
    write();
  }
}

function play(wanted) {
  clearInterval(playing);
  playing = 0;
  if (wanted && isPast()) playing = setInterval(step, TICK_MS);
  write();
}

function step() {
  if (busy) return;
  const next_s = (wanted_s ?? state.past_s) + (speed * TICK_MS) / 1e3;
  travel(next_s >= now() - 1 ? null : next_s);
}

/** While live the handle stays at the right end, and the clock goes on. */
function follow() {
  if (!isPast() && wanted_s === null) write();
}

function write() {
  const at_s = wanted_s ?? state.past_s;
  const past = at_s !== null;
  mark(byId("timebar"), "data-replaying", past);
  mark(parts.live, "aria-pressed", String(!past));
  say(parts.live, past ? "Back to live" : "Live");
  parts.play.disabled = !past;
  say(parts.play, playing ? "❚❚" : "▶");
  mark(parts.play, "aria-label", playing ? "Pause" : "Play");
  parts.speed.disabled = !past;
  say(parts.speed, `${speed}×`);
  mark(parts.speed, "aria-label", `Speed ${speed} times; press for another`);
  if (document.activeElement !== parts.past || !past) parts.past.value = String(past ? stepAt(at_s) : STEPS);
  const text = past ? `${moment(at_s)} (${duration(now() - at_s)} ago)` : moment(now());
  say(parts.shown, text);
  mark(parts.shown, "title", utcText(at_s ?? now()));
  mark(parts.past, "aria-valuetext", past ? text : "now, live");
  parts.past.disabled = !(range.from_s > 0 && range.from_s < now());
}
