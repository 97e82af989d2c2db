"""The whole page without a pointer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

# What has the focus: its name as a screen reader says it, whether its outline is drawn, and where it is.
FOCUSED = """() => {
  const here = document.activeElement;
  if (here === document.body) return null;
  const name = here.getAttribute("aria-label") ?? here.labels?.[0]?.textContent ??
    (document.getElementById(here.getAttribute("aria-labelledby"))?.textContent || here.textContent || here.title);
  const ring = getComputedStyle(here).outlineStyle !== "none" ||
    (here.closest("label") && getComputedStyle(here.closest("label")).outlineStyle !== "none");
  return { id: here.id, key: here.dataset.key ?? "", name: name.trim(), ring };
}"""


@pytest.fixture(scope="module")
def bench(make_bench: Callable[..., Any]) -> Any:
    """A living site with users."""
    return make_bench(users=True)


def walk(seen: Any, most: int = 80) -> list[dict[str, Any]]:
    """Everything that Tab reaches, until it comes round."""
    found: list[dict[str, Any]] = []
    for _ in range(most):
        seen.page.keyboard.press("Tab")
        here = seen.page.evaluate(FOCUSED)
        if here is None or (found and here["id"] == found[0]["id"] == "skip"):
            break
        found.append(here)
    return found


def test_tab_reaches_everything_and_shows_where_it_is(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    found = walk(seen)
    ids = [here["id"] for here in found]
    assert ids[0] == "skip"
    assert {"zone", "theme", "account", "live", "map-span"} <= set(ids)
    assert [here for here in found if not here["name"] or not here["ring"]] == []
    names = " ".join(here["name"] for here in found)
    for wanted in ("Channels", "Events", "Change", "Pin", "Ban", "Moment on the channel map"):
        assert wanted in names


def test_the_channel_map_by_arrows(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    lora = [f"{round(cell.center_hz)}/125000" for cell in sorted(bench.site.spectrum.lora)]
    seen.page.locator(".map-row[tabindex='0']").focus()
    seen.page.keyboard.press("ArrowDown")
    assert seen.page.evaluate(FOCUSED)["key"] == lora[1]
    seen.wait("() => document.getElementById('subchannel-title').textContent.startsWith('867.300')")
    seen.page.keyboard.press("Home")
    assert seen.page.evaluate(FOCUSED)["key"] == lora[0]
    slider = seen.page.get_by_role("slider", name="Moment on the channel map")
    slider.focus()
    seen.page.keyboard.press("ArrowLeft")
    seen.wait("() => document.querySelector('.map-picture').getAttribute('aria-valuetext').includes('MHz at')")
    before = slider.get_attribute("aria-valuetext")
    seen.page.keyboard.press("PageDown")
    seen.wait("old => document.querySelector('.map-picture').getAttribute('aria-valuetext') !== old", before)


def test_views_dialogs_and_the_focus_that_comes_back(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench)
    seen.connected()
    seen.page.get_by_role("link", name="Devices", exact=True).focus()
    seen.page.keyboard.press("Enter")
    seen.wait("() => document.activeElement.id === 'main'")
    seen.page.get_by_role("button", name="Sign in").focus()
    seen.page.keyboard.press("Enter")
    seen.page.get_by_role("dialog").wait_for()
    assert seen.page.evaluate(FOCUSED)["name"].startswith("Name")
    inside = "() => document.querySelector('dialog').contains(document.activeElement)"
    for _ in range(3):
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate(inside)
    seen.page.keyboard.press("Escape")
    seen.page.get_by_role("dialog").wait_for(state="detached")
    seen.wait("() => document.activeElement.id === 'account'")


def minutes(text: str) -> int:
    """Minutes since midnight of the first HH:MM in a text."""
    found = re.search(r"(\d\d):(\d\d):\d\d", text)
    assert found, text
    return 60 * int(found[1]) + int(found[2])


def test_theme_and_zone_are_switched_and_told(bench: Any, look: Callable[..., Any]) -> None:
    seen = look(bench, color_scheme="light", timezone_id="Asia/Kolkata")
    seen.connected()
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = seen.page.evaluate(ground)
    seen.page.locator("#theme").focus()
    seen.page.keyboard.press("Enter")
    seen.page.keyboard.press("Enter")
    assert seen.page.locator("#theme").get_attribute("aria-label").startswith("Theme: dark")
    assert seen.page.evaluate(ground) != light
    both = "() => [document.getElementById('shown').textContent, document.getElementById('shown').title]"
    local, utc = (minutes(text) for text in seen.page.evaluate(both))
    assert (local - utc) % (24 * 60) == 5 * 60 + 30
    seen.page.locator("#zone").press("Space")
    seen.wait("() => document.getElementById('shown').textContent.includes('UTC')")
    shown, utc = (minutes(text) for text in seen.page.evaluate(both))
    assert shown == utc
