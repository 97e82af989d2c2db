"""A console over a real Redis, and a real headless Chromium to look at it."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from channel_status.embedded import embedded_url, start_server
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway
from channel_status.redis_door import connect
from spectrum.site_file import Site, parse_site
from testbed.console_scene import Scene, scene_toml

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

FLAGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

# Until a condition holds on a slow machine; nothing waits for so long where all is well.
PATIENCE_MS: Final = 60_000
PASSWORD: Final = "correct horse battery"
SEED: Final = 5
DEVICES: Final = 8


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium with a new, empty profile; each page has a context of its own.

    For one module: Playwright keeps an event loop running in the thread of the tests, and others need to run theirs.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on PATH: tests/console/browser/install-chromium installs one")
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=chromium, headless=True, args=list(FLAGS), timeout=PATIENCE_MS)
        yield made
        made.close()


class Bench:
    """A site with its database, its console, and the scene that lives in it."""

    def __init__(self, stack: ExitStack, folder: Path, site: Site) -> None:
        self.folder = folder
        self.site = site
        self.server = start_server(folder, keep=True)
        stack.callback(self.stop_redis)
        self.database: ChannelStatusDatabase = connect(embedded_url(folder))
        stack.callback(self.database.close)
        self._console = stack.enter_context(ExitStack())
        self.port = 0
        self.start_console()
        self.url = f"http://127.0.0.1:{self.port}"
        # One scene, one writer at a time: the pacing thread holds the lock for a step.
        self.lock = threading.Lock()
        self.scene = Scene(site, self.database, seed=SEED, count=DEVICES, start_s=time.time(), tick_s=0.25)

    def start_console(self) -> None:
        """The console, at the port it had before."""
        from console.service import console_running

        seen = connect(embedded_url(self.folder))
        self._console.callback(seen.close)
        self.port = self._console.enter_context(console_running(self.site, seen, f"127.0.0.1:{self.port}")).port

    def stop_console(self) -> None:
        """The console's process ends."""
        self._console.close()

    def stop_redis(self) -> None:
        """The database dies."""
        self.server.terminate()
        self.server.wait()

    def start_redis(self) -> None:
        """And comes back, with what it had acknowledged."""
        self.server = start_server(self.folder, keep=True)

    @contextmanager
    def living(self) -> Iterator[None]:
        """The scene goes on by itself."""
        stop = threading.Event()

        def live() -> None:
            while not stop.wait(0.05):
                try:
                    with self.lock:
                        self.scene.step(time.time())
                except DatabaseAway:
                    stop.wait(0.2)

        thread = threading.Thread(target=live, name="scene")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def lease(self, technology: str = "lora", holds_s: float = 600.0) -> Any:
        """A lease of some device, long enough to be looked at."""
        with self.lock:
            device = next(one for one in self.scene.devices if one.technology == technology)
            device.holds_s = holds_s
            before = {lease.lease_id for lease in self.database.leases(self.site.name, time.time())}
            self.scene.now_s = time.time()
            self.scene.ask(device)
        return next(x for x in self.database.leases(self.site.name, time.time()) if x.lease_id not in before)


@pytest.fixture(scope="module")
def make_bench() -> Iterator[Callable[..., Bench]]:
    """Makes benches that end with the module.

    users: with alice, an operator, and bob, a viewer. text: another site file, whose site does not live by itself.
    private: only users may look.
    """
    with ExitStack() as stack:

        def make(users: bool = False, text: str | None = None, private: bool = False) -> Bench:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="airshed-", dir="/tmp")))
            if users:
                from controller.passwords import hash_password
                from controller.users import set_password

                for name, role in (("alice", "operator"), ("bob", "viewer")):
                    set_password(folder / "users.toml", name, role, hash_password(PASSWORD))  # type: ignore[arg-type]
            scene = scene_toml(SEED, DEVICES, str(folder / "users.toml") if users else None)
            if not private:
                scene = scene.replace("[console]\n", '[console]\nreading = "anyone"\n')
            bench = Bench(stack, folder, parse_site(text or scene, "scene.toml"))
            if text is None:
                bench.scene.attach_gateways()
                stack.enter_context(bench.living())
            return bench

        yield make


class Watched:
    """A page with what went wrong in it: console errors, exceptions, and requests that left its origin."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.errors: list[str] = []
        self.outside: list[str] = []
        self.allowed: tuple[str, ...] = ()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: request.url.startswith((url, "data:")) or self.outside.append(request.url))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.text} ({message.location.get('url')})")

    def wait(self, condition: str, argument: Any = None) -> None:
        """Until a JavaScript function answers true. (Playwright's own way needs eval, which the page forbids.)"""
        came = self.page.evaluate(
            """async ([argument, patience_ms]) => {
              const end_ms = performance.now() + patience_ms;
              while (!(await (CONDITION)(argument))) {
                if (performance.now() > end_ms) return false;
                await new Promise((done) => setTimeout(done, 40));
              }
              return true;
            }""".replace("CONDITION", condition),
            [argument, PATIENCE_MS],
        )
        assert came, f"never came true: {condition} ({argument}); errors: {self.errors}"

    def connected(self) -> None:
        """Until the live feed has brought the channels."""
        self.wait("() => document.getElementById('link').dataset.state === 'live' && airshedCounts.messages > 7")
        if self.page.locator("#view-channels").is_visible():
            self.wait("() => document.querySelectorAll('.map-row[data-state]').length > 0")

    def sign_in(self, user: str = "alice", password: str = PASSWORD) -> None:
        """Through the dialog."""
        self.page.get_by_role("button", name="Sign in").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("Name").fill(user)
        dialog.get_by_label("Password or token").fill(password)
        dialog.get_by_role("button", name="Sign in").click()

    def check(self) -> None:
        """Nothing went wrong, but for messages with an allowed part."""
        assert [error for error in self.errors if not any(part in error for part in self.allowed)] == []
        assert self.outside == []


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """Opens pages: look(bench, "#devices", color_scheme="dark", viewport=...). What went wrong fails the test."""
    opened: list[tuple[BrowserContext, Watched]] = []

    def open_page(bench: Bench, place: str = "", **context: Any) -> Watched:
        made = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
        watched = Watched(made.new_page(), bench.url)
        opened.append((made, watched))
        watched.page.goto(f"{bench.url}/{place}")
        return watched

    yield open_page
    for context, watched in opened:
        context.close()
        watched.check()
