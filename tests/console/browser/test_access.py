"""Everyone can use the page: axe finds nothing, every control is reached by keyboard and has a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

VIEWS = ("channels", "waterfall", "map", "devices/meter-00", "gateways", "sensors", "events")
# On a phone these look otherwise; the others only stand one under the other.
LAID_OUT_ANEW = ("channels", "events", "devices/meter-00")
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def bench(make_bench: Callable[..., Any]) -> Any:
    """A living site with users."""
    return make_bench(users=True)


def violations(page: Any, **options: Any) -> list[str]:
    """What axe objects to, a line each."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes']][:4]}" for one in found]


@pytest.mark.parametrize(
    ("theme", "size", "rules"),
    # The dark theme differs by its colours alone.
    [("light", DESK, {}), ("dark", DESK, {"runOnly": ["cat.color"]}), ("light", PHONE, {})],
    ids=["light", "dark", "phone"],
)
def test_axe_finds_nothing(
    bench: Any, look: Callable[..., Any], theme: str, size: dict[str, int], rules: dict[str, Any]
) -> None:
    seen = look(bench, color_scheme=theme, viewport=size)
    seen.connected()
    for view in VIEWS:
        seen.page.evaluate("view => { location.hash = `/${view}` }", view)
        name = view.split("/")[0]
        seen.wait("name => !document.getElementById(`view-${name}`).hidden", name)
        seen.wait("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
        if size == DESK or view in LAID_OUT_ANEW:
            assert (view, violations(seen.page, **rules)) == (view, [])
        assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} is wider than {size}"
    seen.page.get_by_role("button", name="Sign in").click()
    assert violations(seen.page) == []
