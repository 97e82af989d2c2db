"""`airshed status --watch`: look, show, wait for a key; over a terminal, a pipe, or as JSON."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import IO, Any

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway
from console.keyboard import keys_pressed
from console.reader import Reader
from console.terminal_map import MapView, map_group, summary_line
from spectrum.site_file import Site
from terminal.command import emit_json


class Watch:
    """Looks at a site again and again: the states by kind, None before the first, and why they are old."""

    def __init__(self, site: Site, database: ChannelStatusDatabase, clock: Callable[[], float] = time.time) -> None:
        self._reader = Reader(site, database, clock, time.monotonic)
        self._clock = clock

    def look(self) -> tuple[dict[str, Any] | None, str]:
        """The newest states, and why they are old (empty when they are not)."""
        try:
            self._reader.look()
        except DatabaseAway as error:
            return self._states(), str(error)
        return self._states(), ""

    def _states(self) -> dict[str, Any] | None:
        states = {kind: records.decode(known.data) for kind, known in self._reader.state.items()}
        return {"time_s": self._clock()} | states if "channels" in states and "duty" in states else None


def watch_json(watch: Watch, period_s: float, count: int | None, out: IO[str]) -> None:
    """One object a look: the states as `GET /api/state` has them, and `feed` with what is wrong."""
    for _ in _looks(count, period_s):
        states, away = watch.look()
        feed = {"state": "away" if away else "live", "detail": away}
        emit_json((states or {"time_s": time.time()}) | {"feed": feed}, out)


def watch_lines(watch: Watch, period_s: float, count: int | None, out: IO[str]) -> None:
    """One line a look, for pipes and logs."""
    for _ in _looks(count, period_s):
        states, away = watch.look()
        print(away or summary_line(states or {}), file=out, flush=True)


def watch_terminal(watch: Watch, site: str, period_s: float, count: int | None) -> None:
    """The live map until q, Ctrl-C, or `count` looks."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console, view = Console(), MapView()
    looks = 0
    with keys_pressed() as next_key, Live(console=console, screen=True, auto_refresh=False) as live:
        while not view.ended and (count is None or looks < count):
            due_s = time.monotonic() + period_s
            if not view.paused:
                states, away = watch.look()
                looks += 1
                if states is not None and not away:
                    view.add(states["channels"])
            while True:
                width, height = console.size
                shown = Text(away) if states is None else map_group(states, view, site, width, height, away)
                live.update(shown, refresh=True)
                key = next_key(max(0.0, due_s - time.monotonic()))
                view.press(key)
                if view.ended or time.monotonic() >= due_s:
                    break


def _looks(count: int | None, period_s: float) -> Any:
    number = 0
    due_s = time.monotonic()
    while count is None or number < count:
        yield number
        number += 1
        due_s = max(due_s + period_s, time.monotonic())
        if count is None or number < count:
            time.sleep(max(0.0, due_s - time.monotonic()))


def run_watch(
    site: Site, database: ChannelStatusDatabase, period_s: float, count: int | None, *, as_json: bool
) -> None:
    """Choose by what stands behind standard output."""
    watch = Watch(site, database)
    if as_json:
        watch_json(watch, period_s, count, sys.stdout)
    elif sys.stdout.isatty():
        watch_terminal(watch, site.name, period_s, count)
    else:
        watch_lines(watch, period_s, count, sys.stdout)
