// One drawing per frame, however many updates come: views say what has become stale, the next frame draws what is seen.

const views = new Map();
let asked = false;

/** For tests and for the curious (`airshedCounts` in the browser's console). */
export const counts = { messages: 0, updates: 0, frames: 0, draws: {}, longTasks: 0 };

/**
 * A view: draw() is called at most once a frame and at most every `every_ms`, and only while `isSeen()`.
 * Tables that people read change slower than pictures.
 */
export function view(name, draw, { every_ms = 0, isSeen = () => true } = {}) {
  views.set(name, { draw, every_ms, isSeen, stale: true, last_ms: -Infinity, timer: 0 });
  counts.draws[name] = 0;
}

/** Something that these views show has changed. */
export function stale(...names) {
  for (const name of names) {
    const found = views.get(name);
    if (!found) throw new Error(`no view is called ${name}`);
    found.stale = true;
  }
  counts.updates += names.length;
  ask();
}

export function allStale() {
  stale(...views.keys());
}

/** Draw at the next frame although `every_ms` has not passed: somebody has touched the page. */
export function hurry(...names) {
  for (const name of names) views.get(name).last_ms = -Infinity;
  stale(...names);
}

function ask() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(drawAll);
}

function drawAll(now_ms) {
  asked = false;
  counts.frames += 1;
  let next_ms = Infinity;
  for (const [name, one] of views) {
    if (!one.stale || !one.isSeen()) continue;
    const wait_ms = one.last_ms + one.every_ms - now_ms;
    if (wait_ms > 0) {
      next_ms = Math.min(next_ms, wait_ms);
      continue;
    }
    one.stale = false;
    one.last_ms = now_ms;
    counts.draws[name] += 1;
    one.draw(now_ms);
  }
  if (next_ms < Infinity) setTimeout(ask, next_ms);
}

if (globalThis.PerformanceObserver?.supportedEntryTypes?.includes("longtask")) {
  new PerformanceObserver((list) => {
    counts.longTasks += list.getEntries().length;
  }).observe({ type: "longtask" });
}
