"""What the page shows: every view, the past, a site that is new or in trouble; and that nothing comes from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest


@pytest.fixture(scope="module")
def bench(make_bench: Callable[..., Any]) -> Any:
    """A living site."""
    return make_bench()


def go(seen: Any, place: str) -> None:
    """To a view."""
    seen.page.evaluate("place => { location.hash = place }", place)
    seen.wait("name => !document.getElementById(`view-${name}`).hidden", place.split("/")[1])


def test_every_view_fills(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    bench.lease()
    for place, shows in (
        ("#/waterfall", ".waterfall canvas"), ("#/map", ".mark-sensor"), ("#/devices", ".devices tbody tr"),
        ("#/gateways", "#view-gateways .card"), ("#/sensors", "#view-sensors .card"),
    ):  # fmt: skip
        go(seen, place)
        seen.page.locator(shows).first.wait_for()
    assert seen.page.locator("#view-sensors .card").count() == 4
    go(seen, "#/events/all")
    seen.page.locator(".event[data-kind='granted']").first.wait_for()
    go(seen, "#/map/868100000/125000")
    seen.page.get_by_text("Kriged from 4 sensors").wait_for()
    go(seen, "#/devices/meter-00")
    seen.page.get_by_text("Why its subchannel").wait_for()
    # `look` fails the test when a request has left the origin, or an error was logged.


def test_the_answer_forbids_all_but_its_own(bench: Any) -> None:
    policy = httpx.get(bench.url).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


def test_the_site_says_what_flags_tell(bench: Any) -> None:
    assert "gain" in httpx.get(f"{bench.url}/api/site").json()["flags"]["clipping"]


def test_the_past_is_shown_and_left(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    seen.wait("async () => { const r = await fetch('/api/history').then(a => a.json()); return r.to_s - r.from_s > 3 }")
    seen.page.reload()
    seen.connected()
    seen.wait("() => !document.getElementById('past').disabled")
    ban = "off => [...document.querySelectorAll('button')].find(one => one.textContent === 'Ban…').disabled === off"
    seen.page.locator("#past").focus()
    seen.page.keyboard.press("Home")
    seen.page.locator("#timebar[data-replaying]").wait_for()
    seen.page.get_by_role("button", name="Back to live").wait_for()
    seen.page.locator(".map-row[data-state]:not([data-state='silent'])").first.wait_for()
    seen.wait(ban, True)
    before = seen.page.locator("#past").input_value()
    seen.page.get_by_role("button", name="Play").click()
    seen.wait("old => document.getElementById('past').value !== old", before)
    seen.page.get_by_role("button", name="Live").click()
    seen.page.locator("#timebar:not([data-replaying])").wait_for()
    seen.wait(ban, False)


def test_a_site_without_anything_says_what_is_missing(make_bench: Callable[..., Any], look: Callable[..., Any]) -> None:
    seen = look(make_bench(text='[site]\nname = "new"\n'))
    seen.connected()
    assert seen.page.locator(".map-row").count() == 20
    assert seen.page.locator(".map-row[data-state='silent']").count() == 20
    assert seen.page.locator("#account").is_hidden(), "nobody could sign in"
    for place, text in (
        ("#/waterfall", "No spectrum yet"), ("#/map", "Nothing of this site has a place"),
        ("#/devices", "No device has been heard yet"), ("#/gateways", "No gateway is known"),
        ("#/sensors", "No sensor yet"), ("#/events", "No such event"),
    ):  # fmt: skip
        go(seen, place)
        seen.page.get_by_text(text).first.wait_for()


def test_a_sensor_that_falls_silent_is_told(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    bench.scene.stopped.add("quay")
    seen.page.locator(".tile").filter(has_text="Sensors fresh").get_by_text("quay").wait_for()
    go(seen, "#/sensors")
    quay = seen.page.locator(".card[data-stale]").filter(has_text="quay")
    quay.get_by_text("not used").wait_for()
    bench.scene.stopped.clear()
    quay.wait_for(state="detached")


def test_names_from_the_air_are_text(bench: Any, look: Callable[..., Any]) -> None:
    with bench.lock:
        device = next(one for one in bench.scene.devices if one.technology == "lora")
        name, device.name = device.name, "<img src=x onerror=alert(1)>"
        bench.scene.ask(device)
        device.name = name
    seen = look(bench, "#/events/all")
    seen.connected()
    seen.page.get_by_text("<img src=x").first.wait_for()
    assert seen.page.locator("main img").count() == 0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("megahertz(868.1e6)", "868.100\u202fMHz"),
        ("megahertz(868.1305e6)", "868.1305\u202fMHz"),
        ("decibels(-83.25, 'dBFS')", "−83.3\u202fdBFS"),
        ("decibels(-0.01)", "0.0\u202fdB"),
        ("decibels(null)", "–"),
        ("probability(0.0004)", "<\u202f0.001"),
        ("probability(0.25)", "0.250"),
        ("percent(0.0123)", "1.2\u202f%"),
        ("duration(0.25)", "250\u202fms"),
        ("duration(3599)", "1\u202fh\u202f00\u202fmin"),
        ("duration(3700)", "1\u202fh\u202f02\u202fmin"),
        ("duration(90000)", "1\u202fd\u202f1\u202fh"),
        ("metres(1250)", "1.25\u202fkm"),
        ("metres(-100)", "−100\u202fm"),
        ("count(1234567)", "1\u202f234\u202f567"),
        ("plural(1, 'lease')", "1 lease"),
    ],
)
def test_numbers_carry_their_units(units: Any, call: str, text: str) -> None:
    assert units(call) == text


@pytest.fixture(scope="module")
def modules(browser: Any, bench: Any) -> Any:
    """A page on the console's origin, to try its modules in."""
    page = browser.new_page()
    page.goto(f"{bench.url}/static/icon.svg")
    yield page
    page.close()


@pytest.fixture(scope="module")
def units(modules: Any) -> Any:
    """Calls a function of units.js in the browser."""
    return lambda call: modules.evaluate(f"() => import('/static/js/units.js').then(units => units.{call})")


def test_colours_are_the_published_ones(modules: Any) -> None:
    import matplotlib

    words = modules.evaluate("() => import('/static/js/colours.js').then(found => [...found.POWER_WORDS])")
    viridis = matplotlib.colormaps["viridis"]
    for step in range(0, 256, 5):
        own = [words[step] >> shift & 255 for shift in (0, 8, 16)]
        theirs = [round(255 * part) for part in viridis(step / 255)[:3]]
        assert max(abs(a - b) for a, b in zip(own, theirs, strict=True)) <= 3


def test_false_alarms_alone_do_not_colour_a_column(modules: Any) -> None:
    states = modules.evaluate(
        """async () => {
          const { ChannelHistory } = await import("/static/js/channel_history.js");
          const states = [];
          for (const busyOf10 of [0, 2, 5, 10]) {
            const history = new ChannelHistory(300, 300);
            for (let i = 0; i < 10; i += 1) {
              const busy = i < busyOf10;
              history.add("k", 1000.05 + i / 10, { energy_dbfs: -80, threshold_dbfs: -81, busy, pf: 0.2 });
            }
            states.push(history.at("k", 1000.5).state);
          }
          return states;
        }"""
    )
    assert states == [1, 1, 1, 2]
