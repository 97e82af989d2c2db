// The console's page: asks for the site, opens the feed, and hands what comes to the views. See docs/console.md.

import { loadSession, onSession, signIn, startAccount } from "./account.js";
import { ask } from "./api.js";
import { startChannelMap, buildChannelMap } from "./channel_map.js";
import { startDevices } from "./devices.js";
import { byId, mark, say } from "./dom.js";
import { fillEventFilters, startEvents } from "./events.js";
import { openFeed } from "./feed.js";
import { allStale, counts, hurry, view } from "./frame.js";
import { startGateways } from "./gateways.js";
import { enterView, onEnter, placeOf } from "./routes.js";
import { startSensors } from "./sensors.js";
import { fillSiteMap, startSiteMap } from "./site_map.js";
import { KINDS, addAudit, addEvents, changed, select, setLive, state } from "./state.js";
import { startSubchannelPanel } from "./subchannel_panel.js";
import { startTheme } from "./theme.js";
import { startTiles } from "./tiles.js";
import { loadRange, startTimeBar } from "./time_bar.js";
import { timeline } from "./timeline.js";
import { showUtc, timeOfDay } from "./times.js";
import { addSpectrum, startWaterfall } from "./waterfall.js";

const RANGE_EVERY_MS = 60_000;
const RETRY_MS = 2_000;

let closeFeed = null;

globalThis.airshedCounts = counts;

function startViews() {
  view("link", drawLink);
  startTimeBar();
  startTiles();
  startChannelMap();
  startSubchannelPanel();
  startWaterfall();
  startSiteMap();
  startDevices();
  startGateways();
  startSensors();
  startEvents();
  startTheme();
  startAccount();
  startZone();
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
  });
  onEnter("channels", (key) => {
    if (state.site?.subchannels.some((cell) => cell.key === key)) select(key);
  });
  addEventListener("hashchange", () => {
    enterView();
    byId("main").focus({ preventScroll: true });
  });
  enterView();
}

function startZone() {
  const button = byId("zone");
  button.addEventListener("click", () => {
    const wanted = button.getAttribute("aria-pressed") !== "true";
    mark(button, "aria-pressed", String(wanted));
    showUtc(wanted);
    allStale();
  });
}

/** Ask who we are and what the site is, until the server says; then open the feed. */
async function begin() {
  try {
    const session = await loadSession();
    if (!session.may_read) {
      banner("warn", "Sign in to see this site.", "");
      await signIn("This console shows its site to those who sign in.");
      return; // once somebody has signed in, onSession begins anew
    }
    state.site = await ask("/api/site");
  } catch (error) {
    banner("bad", "The console's server cannot be asked.", `${error.message} Trying again …`);
    setTimeout(begin, RETRY_MS);
    return;
  }
  banner(null);
  say(byId("site-name"), state.site.site);
  buildChannelMap();
  fillSiteMap();
  fillEventFilters();
  const fromAddress = placeOf(location.hash).match(/^(?:channels|map)\/(.+)$/)?.[1];
  const wanted = fromAddress ?? state.selected;
  const known = state.site.subchannels.find((cell) => cell.key === wanted) ?? state.site.subchannels[0];
  if (known) select(known.key);
  changed("site");
  enterView();
  await timeline.setSpan(Number(byId("map-span").value)).catch(() => hurry("map"));
  closeFeed?.();
  closeFeed = openFeed(["hello", "feed", "beat", "spectrum", "events", "audit", ...KINDS], hear, onLink);
}

function hear(kind, data) {
  switch (kind) {
    case "hello":
      if (!data.resumed || data.gap) catchUp();
      return;
    case "feed":
      state.feed = data;
      changed("feed");
      if (data.state === "live") catchUp();
      return;
    case "beat":
      counts.dropped = data.dropped;
      return;
    case "spectrum":
      return addSpectrum(data);
    case "events":
      return addEvents(data.events);
    case "audit":
      return addAudit(data.entries);
    case "channels":
      timeline.addChannels(data);
      break;
    case "leases":
      timeline.addLeases(data);
      break;
  }
  setLive(kind, data);
}

/** What happened before the page was there, or while it was cut off. */
async function catchUp() {
  const tasks = [
    loadRange(),
    ask("/api/events", { limit: 200 }).then((found) => addEvents([...found.events].reverse())),
    ask("/api/audit", { limit: 50 }).then((found) => addAudit(found.entries)),
    timeline.load(),
  ];
  await Promise.allSettled(tasks); // each may fail while the database is away; the feed says when it is back
}

function onLink(link) {
  if (link.state === "refused") return signedOut();
  state.link = {
    ...state.link,
    ...link,
    since_s: link.state === state.link.state ? state.link.since_s : Date.now() / 1e3,
  };
  changed("link");
}

/** The server opens no feed for us: perhaps our session has ended. Then somebody has to sign in again. */
async function signedOut() {
  try {
    if ((await loadSession()).may_read) return;
  } catch {
    return; // the server is away; the feed tries again
  }
  closeFeed?.();
  closeFeed = null;
  begin();
}

/** One word on the line to the server, and a banner while something stands between the page and the air. */
function drawLink() {
  const away = state.feed?.state === "away";
  const word =
    state.link.state === "lost"
      ? "reconnecting"
      : state.link.state === "connecting"
        ? "connecting"
        : away
          ? "database away"
          : "connected";
  say(byId("link"), word);
  mark(byId("link"), "data-state", word === "connected" ? "live" : word === "connecting" ? "connecting" : "away");
  if (!state.site) return;
  if (state.link.state === "lost") {
    banner(
      "warn",
      "The line to the console's server is cut.",
      `What is shown is from before ${timeOfDay(state.link.since_s)}. It is opened again by itself.`,
    );
  } else if (away) {
    const again = state.feed.retry_s ? ` It is tried again every ${state.feed.retry_s} s.` : "";
    banner(
      "bad",
      "The database is away.",
      `What is shown is from before ${timeOfDay(state.feed.since_s)}; leases that were granted hold.${again} (${state.feed.detail ?? ""})`,
    );
  } else banner(null);
}

function banner(tone, title = "", text = "") {
  const box = byId("banner");
  box.hidden = tone === null;
  if (tone === null) return;
  mark(box, "data-tone", tone);
  if (!box.firstElementChild) box.append(document.createElement("strong"), document.createElement("span"));
  say(box.firstElementChild, title);
  say(box.lastElementChild, text);
}

onSession(() => {
  if (closeFeed && state.session.may_read) return; // who acts has changed, not what is seen
  closeFeed?.();
  closeFeed = null;
  begin();
});
startViews();
setInterval(() => state.site && loadRange().catch(() => {}), RANGE_EVERY_MS);
begin();
