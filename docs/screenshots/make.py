"""Pictures of the console for README and docs, from a seeded scene: python docs/screenshots/make.py [NAME ...]

Half an hour of a harbour with four sensors is written into a database in memory, a console put over it, and a headless
Chromium looks at it. Only the time of day differs from one run to the next.
"""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from playwright.sync_api import sync_playwright

from channel_status.memory import MemoryDatabase
from console.service import console_running
from spectrum.site_file import parse_site
from testbed.console_scene import Emission, Scene, scene_toml

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = Path(__file__).parent
SEED = 11
DEVICES = 48
PAST_S = 1800.0
LARGEST_BYTES = 250_000
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One picture: where on the page, in which theme and size, and what is done before it is taken."""

    name: str
    place: str
    theme: str = "dark"
    size: tuple[int, int] = (1280, 900)
    before: Callable[[Page], Any] = lambda page: None


def by_state(page: Page) -> None:
    """The channel map by state, at the subchannel with the interferer."""
    page.locator("#map-colour").get_by_text("State").click()
    page.locator(".map-row[data-key='868300000/125000']").click()


def travel(page: Page) -> None:
    """Ten minutes back."""
    page.evaluate(
        "() => { const past = document.getElementById('past'); past.value = String(Number(past.max) * 0.62);"
        " past.dispatchEvent(new Event('input')) }"
    )


PICTURES = (
    Picture("console-channels", "#/channels/868300000/125000"),
    Picture("console-state", "#/channels", "light", before=by_state),
    Picture("console-waterfall", "#/waterfall"),
    Picture("console-map", "#/map/868300000/125000", "light"),
    Picture("console-device", "#/devices/meter-00", "light"),
    Picture("console-events", "#/events"),
    Picture("console-past", "#/channels", "dark", before=travel),
    Picture("console-phone", "#/channels/868300000/125000", "light", (390, 844)),
)


@contextmanager
def harbour() -> Iterator[str]:
    """A console over the scene, which goes on living; yields its address."""
    clock = [time.time() - PAST_S]
    database = MemoryDatabase(lambda: clock[0] or time.time())
    site = parse_site(scene_toml(SEED, DEVICES), "the harbour")
    scene = Scene(site, database, seed=SEED, count=DEVICES, start_s=clock[0], tick_s=0.5)
    scene.devices[5].silent_s = clock[0] - 7200.0
    scene.devices[9].lossy = 0.3
    scene.attach_gateways()
    scene.write_rhythms(12.0)
    interferer = Emission(site.spectrum.lora[-2], (60.0, 90.0), 14.0)
    while scene.now_s < time.time() - 1.0:
        if not scene.interferers and scene.now_s > time.time() - 150.0:
            scene.interferers.append(interferer)
        if scene.now_s > time.time() - 60.0:
            scene.tick_s = 0.1  # the finest rows are kept for a minute
        scene.step(scene.now_s + 1.0)
        clock[0] = scene.now_s
    clock[0], scene.tick_s = 0.0, 0.1
    stop = threading.Event()

    def live() -> None:
        while not stop.wait(0.02):
            scene.step(time.time())

    thread = threading.Thread(target=live)
    thread.start()
    try:
        with console_running(site, database, "127.0.0.1:0") as server:
            yield f"http://127.0.0.1:{server.port}/"
    finally:
        stop.set()
        thread.join()


def small(png: bytes) -> bytes:
    """The same picture in as few bytes as a page about software deserves."""
    for colours in (256, 128, 64):
        if len(png) <= LARGEST_BYTES:
            break
        packed = io.BytesIO()
        Image.open(io.BytesIO(png)).convert("RGB").quantize(
            colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        ).save(packed, "PNG", optimize=True)
        png = packed.getvalue()
    return png


def main(wanted: list[str]) -> None:
    """Take the pictures that are named, or all."""
    import shutil

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with harbour() as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, headless=True, args=list(FLAGS))
        for picture in PICTURES:
            if wanted and picture.name not in wanted:
                continue
            width, height = picture.size
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=picture.theme)
            page = context.new_page()
            page.goto(url + picture.place)
            page.locator("#link[data-state='live']").wait_for()
            page.wait_for_timeout(6_000)
            picture.before(page)
            page.wait_for_timeout(3_000)
            png = small(page.screenshot())
            (FOLDER / f"{picture.name}.png").write_bytes(png)
            sys.stdout.write(f"{picture.name}.png {len(png) / 1000:.0f} kB\n")
            context.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
