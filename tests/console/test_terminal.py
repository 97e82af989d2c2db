"""`airshed status --watch`: the picture at every width, keys, pipes, JSON, and a real terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from channel_status import records
from channel_status.embedded import private_server
from channel_status.protocol import DatabaseAway
from channel_status.redis_door import connect
from console.keyboard import keys_pressed
from console.status_command import status
from console.terminal_map import SIGNS, MapView, map_group, summary_line
from console.terminal_watch import Watch, watch_json, watch_lines
from spectrum.report import ChannelReport

KEY = "868300000/125000"


@pytest.fixture
def watched(make_bench):
    """A bench at whose site something happens, and a watch over it."""
    bench = make_bench()
    bench.scene.sense(loud_hz=868.3e6)
    bench.scene.attach()
    bench.act(action="ban", subchannel="867100000/125000")
    bench.scene.allocator.follow_operators()
    bench.scene.grant("holder-1")
    bench.watch = Watch(bench.site, bench.database)
    return bench


def picture(states, view: MapView, width: int, height: int = 40, away: str = "") -> list[str]:
    """What stands on a terminal of that size."""
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=False, legacy_windows=False)
    console.print(map_group(states, view, "s", width, height, away))
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [30, 40, 80, 120, 200])
def test_the_picture_fits_the_terminal(watched, width: int) -> None:
    states, away = watched.watch.look()
    view = MapView()
    for _ in range(500):
        view.add(states["channels"])
    lines = picture(states, view, width)
    assert away == ""
    assert max(map(len, lines)) <= width
    loud = next(line for line in lines if "868.3000" in line)
    assert "█ busy" in loud
    assert any("x banned" in line for line in lines)
    assert any("▪ leased" in line for line in lines)
    assert ("holder-1" in "\n".join(lines)) == (width >= 130)
    if width >= 120:
        assert "███" in loud


def test_a_low_terminal_says_what_it_leaves_out(watched) -> None:
    states, _ = watched.watch.look()
    lines = picture(states, MapView(legend=True), 80, 20)
    assert len(lines) <= 20
    assert any("more subchannels" in line for line in lines)
    assert all(
        any(line.strip() == f"{sign.strip()} {name}".strip() for line in lines) for name, (sign, _) in SIGNS.items()
    )


def test_keys_choose(watched) -> None:
    states, _ = watched.watch.look()
    view = MapView()
    assert "868.3000" not in picture(states, view, 80)[3]
    view.press("s")
    assert "868.3000" in picture(states, view, 80)[3], "the busiest comes first"
    view.press("s")
    assert view.sort == "power"
    view.press("t")
    assert not any("868.0420" in line for line in picture(states, view, 80))
    view.press("t")
    assert not any("868.3000" in line for line in picture(states, view, 80))
    for key in ("p", "h", "?", ""):
        view.press(key)
    assert (view.paused, view.legend, view.ended) == (True, True, False)
    view.press("q")
    assert view.ended


def test_an_old_picture_says_that_it_is_old(watched) -> None:
    states, _ = watched.watch.look()
    assert any("is old: gone" in line for line in picture(states, MapView(), 80, away="gone"))


def test_pipes_get_a_line_a_look_and_machines_an_object(watched) -> None:
    lines, objects = io.StringIO(), io.StringIO()
    watch_lines(watched.watch, 0.01, 2, lines)
    assert len(lines.getvalue().splitlines()) == 2
    assert "sensing fresh: 17 idle, 1 busy, 1 leased, 1 banned; 1 leases now, gateways gw-1" in lines.getvalue()
    watch_json(watched.watch, 0.01, 3, objects)
    found = [json.loads(line) for line in objects.getvalue().splitlines()]
    assert len(found) == 3
    assert found[0]["feed"] == {"state": "live", "detail": ""}
    assert {"time_s", "feed", "channels", "leases", "devices", "gateways", "sensors", "duty", "operators"} == set(
        found[0]
    )


def test_a_database_that_is_away_is_said_and_waited_for(watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise DatabaseAway("Redis at nowhere does not answer")

    out = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr(watched.database, "read_many", away)
        watch_lines(watched.watch, 0.01, 1, out)
        watch_json(watched.watch, 0.01, 1, out)
    watch_lines(watched.watch, 0.01, 1, out)
    said, told, back = out.getvalue().splitlines()
    assert said == "Redis at nowhere does not answer"
    assert json.loads(told)["feed"]["state"] == "away"
    assert "sensing fresh" in back


def test_the_summary_counts_devices_that_are_silent(watched) -> None:
    watched.scene.watch("dev-9", offline=True)
    states, _ = watched.watch.look()
    assert summary_line(states).endswith("1 devices offline")


def test_there_are_no_keys_without_a_terminal() -> None:
    with keys_pressed() as next_key:
        assert next_key(0.0) == ""


def test_count_goes_with_watch(tmp_path: Path) -> None:
    site = tmp_path / "s.toml"
    site.write_text('[site]\nname = "s"\n')
    answer = CliRunner().invoke(status, [str(site), "--count", "1"])
    assert (answer.exit_code, "--watch" in answer.output) == (2, True)


def test_on_a_real_terminal_q_ends_it(tmp_path: Path) -> None:
    site = tmp_path / "s.toml"
    site.write_text('[site]\nname = "s"\n[[sensor]]\nname = "roof"\n')
    with private_server() as url:
        database = connect(url)
        loud = ChannelReport(
            "roof", time.time(), 0.01, 868.3e6, 125e3, -20.0, -41.0, -39.0, 21.0, 0.2, 0.1, True, 0.9, 0.1
        )
        database.publish("s", [loud])
        database.put("s", "sensor", {"roof": records.encode({"state": "running", "last_s": time.time()})})
        master, slave = pty.openpty()
        environment = {**os.environ, "REDIS_URL": url, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        process = subprocess.Popen(
            [sys.executable, "-m", "airshed", "status", str(site), "--watch", "--period", "0.2"],
            stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=Path(__file__).parents[2], close_fds=True,
        )  # fmt: skip
        os.close(slave)
        try:
            seen = _read_until(master, "868.3000")
            assert "868.3000" in seen
            os.write(master, b"q")
            rest = _read_until(master, "\x1b[?1049l")
            assert "\x1b[?1049l" in rest, "the former screen is back"
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
            os.close(master)
            database.close()


def _read_until(descriptor: int, wanted: str) -> str:
    seen, until_s = "", time.monotonic() + 60.0
    while wanted not in seen and time.monotonic() < until_s:
        if select.select([descriptor], [], [], 0.2)[0]:
            try:
                seen += os.read(descriptor, 65536).decode(errors="replace")
            except OSError:  # the terminal has gone with its process
                break
    return seen
