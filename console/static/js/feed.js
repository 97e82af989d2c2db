// The live feed: server-sent events, opened again whenever they fall silent.

import { counts } from "./frame.js";
import { clock } from "./times.js";

/** The server beats every 5 s; after this time without a word the line is dead, whatever the browser thinks. */
const SILENCE_MS = 16_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

/**
 * Open the feed. on(kind, data) gets each message; onLink({state}) each change of the line: `connecting`,
 * `live`, `lost`, and `refused` when the server answers with no stream. Returns a function that closes it.
 */
export function openFeed(kinds, on, onLink) {
  let source = null;
  let silence = 0;
  let again = 0;
  let pause_ms = FIRST_PAUSE_MS;

  function hear(kind, message) {
    clearTimeout(silence);
    silence = setTimeout(reopen, SILENCE_MS);
    counts.messages += 1;
    const data = JSON.parse(message.data);
    if (kind === "hello") {
      pause_ms = FIRST_PAUSE_MS;
      onLink({ state: "live" });
    }
    if (kind === "hello" || kind === "beat") follow(data.time_s);
    on(kind, data);
  }

  function open() {
    onLink({ state: "connecting" });
    source = new EventSource("/api/feed");
    // While the browser itself connects again it brings the id of the last message with it; once it has given up
    // (an answer that is no stream) the feed is opened anew, and what it missed is asked for.
    source.onerror = () => (source.readyState === EventSource.CLOSED ? refused() : onLink({ state: "lost" }));
    for (const kind of kinds) source.addEventListener(kind, (message) => hear(kind, message));
    silence = setTimeout(reopen, SILENCE_MS);
  }

  function refused() {
    reopen();
    onLink({ state: "refused" });
  }

  function reopen() {
    close();
    onLink({ state: "lost" });
    again = setTimeout(open, pause_ms);
    pause_ms = Math.min(2 * pause_ms, LONGEST_PAUSE_MS);
  }

  function close() {
    clearTimeout(silence);
    clearTimeout(again);
    source?.close();
    source = null;
  }

  open();
  return close;
}

/** The server's clock, as far as this machine's differs from it by more than the way may take. */
function follow(time_s) {
  const offset_s = time_s - Date.now() / 1e3;
  clock.offset_s = Math.abs(offset_s) > 0.5 ? offset_s : 0;
}
