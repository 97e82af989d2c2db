"""Monitoring beside the database, the same on the Redis door and on the in-memory twin."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway
from monitoring.periodic.live import SiteMonitor, monitoring, run_monitor, site_kpis
from monitoring.periodic.store import DatabaseMonitoringStore
from monitoring.periodic.timetable import timetable

NOW_S = 1_800_000_000.0


def uplinks(device: str, slots: int = 60, period_s: float = 600.0) -> list[bytes]:
    """One report every period through two gateways, as the controller keeps them."""
    rng = np.random.default_rng(1)
    times = NOW_S + period_s * np.arange(slots) + rng.exponential(5, slots)
    return [
        records.encode(
            {
                "device": device,
                "time_s": time_s,
                "gateway": gateway,
                "subchannel_hz": 868.1e6,
                "rssi_dbm": -100.0,
                "snr_db": 5.0,
                "size_bytes": 20,
            }
        )
        for time_s in times.tolist()
        for gateway in ("north", "south")
    ]


def events(database: ChannelStatusDatabase) -> list[str]:
    """Kinds of the events of the site."""
    return [json.loads(entry.value)["event"] for entry in database.read("s", "events")]


def test_uplinks_become_kpis_and_silence_an_alarm(database: ChannelStatusDatabase) -> None:
    database.append("s", "uplinks", uplinks("a"))
    monitor = SiteMonitor(database, "s")
    last_s = NOW_S + 59 * 600
    assert monitor.step(last_s + 100) == 120
    (kpi,) = site_kpis(database, "s")
    assert (kpi.receptions, kpi.duplicates, kpi.missed, kpi.offline) == (60, 60, 0, False)
    assert kpi.applications[0].period_s == pytest.approx(600, rel=1e-3)
    assert events(database) == ["device_learned"]
    rows, left_out = timetable(site_kpis(database, "s"), slot_s=60)
    assert [(row.device, row.interval) for row in rows] == [("a", 10)]
    assert left_out == []
    assert monitor.step(last_s + 86400) == 0
    assert events(database) == ["device_learned", "device_offline"]
    (kpi,) = site_kpis(database, "s")
    assert kpi.offline


def test_a_restart_goes_on_where_it_was(database: ChannelStatusDatabase) -> None:
    everything = uplinks("a")
    database.append("s", "uplinks", everything[:80])
    SiteMonitor(database, "s").step(NOW_S)
    database.append("s", "uplinks", everything[80:])
    second = SiteMonitor(database, "s")
    assert second.watcher.counters.restored == 1
    assert second.step(NOW_S) == 40
    (kpi,) = site_kpis(database, "s")
    assert (kpi.receptions, kpi.duplicates) == (60, 60)
    assert events(database) == ["device_learned"]


def test_broken_uplinks_are_counted(database: ChannelStatusDatabase) -> None:
    database.append("s", "uplinks", [b"{}", b'{"device": 5, "time_s": "noon"}', b"no json", *uplinks("a", 3)])
    monitor = SiteMonitor(database, "s")
    assert monitor.step(NOW_S) == 9
    assert monitor.unreadable == 3
    assert monitor.watcher.counters.receptions == 6


def test_a_device_named_like_the_place_is_a_device(database: ChannelStatusDatabase) -> None:
    store = DatabaseMonitoringStore(database, "s")
    store.save_with_place({"place": b"1"}, "5-0")
    assert (store.place(), dict(store.load())) == ("5-0", {"place": b"1"})
    store.delete("place")
    assert (store.place(), dict(store.load())) == ("5-0", {})


def test_the_loop_runs_until_stopped(database: ChannelStatusDatabase) -> None:
    database.append("s", "uplinks", uplinks("a"))
    monitor, stop = SiteMonitor(database, "s"), threading.Event()
    times = iter([NOW_S, NOW_S + 1])

    def clock() -> float:
        now = next(times, None)
        if now is None:
            stop.set()
            return NOW_S + 2
        return now

    run_monitor(monitor, stop, clock, pause_s=0.0)
    assert monitor.watcher.counters.receptions == 120


def test_a_thread_beside_the_controller_ends_with_its_context(database: ChannelStatusDatabase) -> None:
    database.append("s", "uplinks", uplinks("a"))
    with monitoring(database, "s", lambda: NOW_S, pause_s=0.01) as monitor:
        for _ in range(500):
            if monitor.watcher.counters.receptions == 120:
                break
            time.sleep(0.01)
    assert monitor.watcher.counters.receptions == 120
    assert "monitoring" not in [thread.name for thread in threading.enumerate()]
    assert [one.device for one in site_kpis(database, "s")] == ["a"]


def test_a_database_that_fails_once_loses_nothing(
    database: ChannelStatusDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.append("s", "uplinks", uplinks("a"))
    monitor = SiteMonitor(database, "s")

    def away(*_: object) -> None:
        raise DatabaseAway("gone")

    with monkeypatch.context() as patch:
        patch.setattr(type(database), "put", away)
        with pytest.raises(DatabaseAway):
            monitor.step(NOW_S)
    assert monitor.step(NOW_S) == 0
    (kpi,) = site_kpis(database, "s")
    assert (kpi.receptions, kpi.duplicates) == (60, 60)
    assert events(database) == ["device_learned"]
