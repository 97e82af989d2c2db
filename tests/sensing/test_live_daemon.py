"""A dongle behind the daemon: reports reach the database, and a silent dongle is marked stale there meanwhile."""

from __future__ import annotations

import threading
import time

import pytest

from channel_status import records
from channel_status.memory import MemoryDatabase
from sensing import live
from sensing.daemon import run_sensor
from sensing.opening import Wanted, open_source
from spectrum.errors import Failed
from spectrum.site_file import parse_site

SITE = """
[site]
name = "loft"

[[sensor]]
name = "roof"
source = "rtlsdr:roof"
gain_db = 25
"""


def test_a_silent_dongle_is_stale_in_the_database_until_it_runs_again(dongle, monkeypatch) -> None:
    monkeypatch.setattr(live, "DEFAULT_PATIENCE", live.Patience(stall_s=0.3, retry_s=0.01))
    site = parse_site(SITE, "loft.toml")
    states: list[tuple[str, float | None]] = []
    stop = threading.Event()

    class Noting(MemoryDatabase):
        def put(self, site_name: str, kind: str, values) -> None:
            super().put(site_name, kind, values)
            health = records.decode(values["roof"])
            if not states or states[-1][0] != health["state"]:
                states.append((health["state"], health["gain_db"]))
                if health["state"] == "stale":
                    dongle(serials="cellar,roof", pace="real")
                elif [state for state, _ in states] == ["running", "stale", "running"]:
                    stop.set()

    dongle(serials="cellar,roof", pace="real", stall_after=6_000_000)
    tally = run_sensor(site, site.sensor[0], Noting(), stop, time.time)
    assert states[:3] == [("running", 25.4), ("stale", 25.4), ("running", 25.4)]
    assert tally.state == "stopped"
    assert tally.records > 0
    assert tally.lost_samples > 0


def test_a_stop_ends_a_dongle_that_delivers_nothing(dongle) -> None:
    dongle(stall_after=0)
    site = parse_site(SITE.replace("rtlsdr:roof", "rtlsdr"), "loft.toml")
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    tally = run_sensor(site, site.sensor[0], MemoryDatabase(), stop, time.time)
    assert (tally.state, tally.records) == ("stopped", 0)


@pytest.mark.parametrize(
    ("place", "index"), [("rtlsdr", 0), ("rtlsdr:1", 1), ("rtlsdr:roof", 1), ("rtlsdr:00000001", 0)]
)
def test_dongles_are_named_by_index_or_serial(dongle, tmp_path, place: str, index: int) -> None:
    dongle(serials="00000001,roof", log=tmp_path / "calls.log")
    with open_source(Wanted(place)) as source:
        assert source.name == f"rtlsdr:{place.removeprefix('rtlsdr:') if ':' in place else 0}"
    assert f"open {index}\n" in (tmp_path / "calls.log").read_text()


def test_rtl_tcp_is_opened_by_its_address() -> None:
    with pytest.raises(Failed, match=r"no rtl_tcp server answers at 127\.0\.0\.1:9"):
        open_source(Wanted("rtl_tcp://127.0.0.1:9"))
