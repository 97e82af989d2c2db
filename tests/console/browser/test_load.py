"""Ten sensors at ten updates a second leave the page as quick as one."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from channel_status import records
from spectrum.report import ChannelReport

SENSORS = 10
RATE_HZ = 10
BINS = 480


@pytest.fixture(scope="module")
def bench(make_bench: Callable[..., Any]) -> Iterator[Any]:
    """A site of ten sensors that all publish ten times a second."""
    tables = "".join(f'[[sensor]]\nname = "s{n}"\n' for n in range(SENSORS))
    made = make_bench(text=f'[site]\nname = "busy"\n{tables}')
    stop = threading.Event()
    cells = (*made.site.spectrum.lora, *made.site.spectrum.sigfox)

    def publish() -> None:
        number = 0
        while not stop.wait(1 / RATE_HZ):
            number += 1
            now_s = time.time()
            for name in (f"s{n}" for n in range(SENSORS)):
                level = -90.0 + number % 7
                reports = [
                    ChannelReport(
                        name, now_s, 0.01, c.center_hz, c.bandwidth_hz, level, -91.0, -86.0, None, 0.01, 0.05,
                        level > -86.0, 0.1, 0.01,
                    )
                    for c in cells
                ]  # fmt: skip
                made.database.publish(made.site.name, reports)
                levels = base64.b64encode(bytes((number + i) % 90 for i in range(BINS))).decode()
                row = {
                    "sensor": name, "time_s": now_s, "interval_s": 0.1, "center_hz": 868e6, "span_hz": 2.4e6,
                    "floor_dbfs": -120.0, "step_db": 0.5, "bins": BINS, "levels": levels,
                }  # fmt: skip
                made.database.append(made.site.name, f"spectrum-100ms:{name}", [records.encode(row)])

    thread = threading.Thread(target=publish)
    thread.start()
    yield made
    stop.set()
    thread.join()


def test_many_updates_are_one_drawing(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    frames, draws = seen.page.evaluate(
        """async () => {
          const { stale, counts } = await import("/static/js/frame.js");
          const before = { frames: counts.frames, map: counts.draws.map };
          for (let i = 0; i < 1000; i += 1) stale("map", "map-rows", "subchannel");
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          return [counts.frames - before.frames, counts.draws.map - before.map];
        }"""
    )
    assert draws <= 1 + frames // 2, "a thousand updates cost a drawing, not a thousand"
    assert frames <= 3


def test_the_page_keeps_up_and_answers_at_the_next_frames(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    start = seen.page.evaluate("structuredClone(airshedCounts)")
    seen.wait("start => airshedCounts.messages > start + 60", start["messages"])
    # What is pressed is drawn within two frames, however much comes in meanwhile.
    waited = seen.page.evaluate(
        """async () => {
          const counts = airshedCounts;
          const waited = [];
          for (const value of ["state", "power", "state", "power", "state"]) {
            const radio = document.querySelector(`#map-colour input[value=${value}]`);
            const [frames, draws] = [counts.frames, counts.draws.map];
            radio.click();
            while (counts.draws.map === draws) await new Promise(requestAnimationFrame);
            waited.push(counts.frames - frames);
          }
          return waited;
        }"""
    )
    assert max(waited) <= 2
    end = seen.page.evaluate("structuredClone(airshedCounts)")
    assert end["draws"]["map"] - start["draws"]["map"] <= end["frames"] - start["frames"]
    assert end["draws"]["waterfall"] == start["draws"]["waterfall"], "what is not seen is not drawn"


def test_ten_waterfalls_run(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench, "#/waterfall")
    seen.connected()
    seen.wait("() => document.querySelectorAll('.waterfall canvas').length === 10")
    before = seen.page.evaluate("structuredClone(airshedCounts)")
    seen.wait("draws => airshedCounts.draws.waterfall > draws + 10", before["draws"]["waterfall"])
    seen.wait("() => airshedCounts.dropped !== undefined")
    assert seen.page.evaluate("airshedCounts.dropped") == 0, "the page took every message that was sent"
