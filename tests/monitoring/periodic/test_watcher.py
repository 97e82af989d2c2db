"""The live watcher: alarms, copies, restarts, and that a reception costs the same however many devices there are."""

from __future__ import annotations

import numpy as np
import pytest

from channel_status.memory import MemoryDatabase
from monitoring.periodic.model import MonitoringEvent
from monitoring.periodic.store import DatabaseMonitoringStore, MemoryMonitoringStore, MonitoringStore
from monitoring.periodic.watcher import Reception, Watcher, watch_receptions

EPOCH_S = 1_800_000_000.0


def receptions(
    rng: np.random.Generator, device: str = "a", slots: int = 100, period_s: float = 600.0, outage: float = 0.1
) -> list[Reception]:
    """One application, heard by one gateway."""
    heard = np.flatnonzero(rng.random(slots) >= outage)
    times = EPOCH_S + period_s * heard + rng.exponential(0.01 * period_s, heard.size)
    return [Reception(device, float(t), "g", 868.1e6, -100.0, 5.0, 20) for t in times]


def kinds(events: list[MonitoringEvent]) -> list[str]:
    """Kinds in order."""
    return [event.kind for event in events]


def test_a_device_that_stops_raises_one_alarm_and_its_return_ends_it(rng: np.random.Generator) -> None:
    watcher = Watcher()
    heard = receptions(rng)
    events = watch_receptions(watcher, heard)
    assert kinds(events) == ["learned"]
    last = heard[-1].time_s
    assert watcher.tick(last + 700.0) == []
    later = [event for minute in range(600) for event in watcher.tick(last + 60.0 * minute)]
    assert kinds(later) == ["offline"]
    alarm = later[0]
    # a tenth is lost: a few reports must be missed, not one and not twenty
    assert 2.5 <= (alarm.time_s - last) / 600 <= 8
    assert alarm.values["false_alarm_probability"] <= watcher.false_alarm
    kpi = watcher.kpi("a", alarm.time_s)
    assert kpi is not None
    assert kpi.offline
    assert kpi.offline_probability > 0.5
    assert kinds(watcher.receive(Reception("a", last + 60_000.0, "g"))) == ["silence", "online"]
    metrics = watcher.metrics()
    assert metrics["airshed_monitoring_devices_offline"] == 0
    assert metrics["airshed_monitoring_offline_events_total"] == 1
    assert metrics["airshed_monitoring_outage_ratio"] == pytest.approx(kpi.outage or 0.0, abs=0.02)


def test_alarms_of_healthy_devices_keep_to_the_chosen_rate(rng: np.random.Generator) -> None:
    watcher = Watcher(false_alarm=0.01)
    everything = [one for number in range(30) for one in receptions(rng, f"d{number}", 150, 600.0 + number, 0.2)]
    everything.sort(key=lambda one: one.time_s)
    alarms = kinds(watch_receptions(watcher, everything)).count("offline")
    tests = 30 * 150
    assert alarms <= 0.01 * tests * 1.5
    assert alarms > 0


def test_copies_through_several_gateways_are_one_reception(rng: np.random.Generator) -> None:
    watcher = Watcher()
    for one in receptions(rng, outage=0.0):
        for number, gateway in enumerate(("g", "h", "i")):
            watcher.receive(Reception("a", one.time_s + 0.3 * number, gateway))
    kpi = watcher.kpi("a", EPOCH_S + 60_000)
    assert kpi is not None
    assert (kpi.receptions, kpi.duplicates, kpi.missed) == (100, 200, 0)
    assert {name: one.received for name, one in kpi.gateways.items()} == {"g": 100, "h": 100, "i": 100}


def test_reports_of_unlike_size_are_no_copies() -> None:
    watcher = Watcher()
    for time_s, gateway, size in ((10.0, "g", 12), (10.3, "h", 30), (10.5, "i", 30)):
        watcher.receive(Reception("a", time_s, gateway, size_bytes=size))
    kpi = watcher.kpi("a", 11.0)
    assert kpi is not None
    assert (kpi.receptions, kpi.duplicates) == (2, 1)


def test_labels_make_streams_of_their_own(rng: np.random.Generator) -> None:
    watcher = Watcher()
    fast = [Reception("a", one.time_s, "g", application="fast") for one in receptions(rng)]
    slow = [Reception("a", one.time_s, "g", application="slow") for one in receptions(rng, period_s=3600.0, slots=16)]
    watch_receptions(watcher, sorted(fast + slow, key=lambda one: one.time_s))
    kpi = watcher.kpi("a", EPOCH_S + 60_000)
    assert kpi is not None
    found = {one.application: one.period_s for one in kpi.applications}
    assert found == {"fast": pytest.approx(600, rel=0.01), "slow": pytest.approx(3600, rel=0.01)}


@pytest.fixture(params=["memory", "database"])
def store(request: pytest.FixtureRequest) -> MonitoringStore:
    """Both stores, for the contract."""
    return MemoryMonitoringStore() if request.param == "memory" else DatabaseMonitoringStore(MemoryDatabase(), "site")


def test_the_store_keeps_the_newest_and_deletes(store: MonitoringStore) -> None:
    store.save({"a": b"1", "b": b"2"})
    store.save({"a": b"3"})
    assert dict(store.load()) == {"a": b"3", "b": b"2"}
    store.delete("a")
    store.delete("never")
    assert dict(store.load()) == {"b": b"2"}
    store.save({})


def test_a_restart_changes_nothing(rng: np.random.Generator, store: MonitoringStore) -> None:
    heard = receptions(rng, slots=200) + receptions(rng, "b", 400, 270.0)
    heard.sort(key=lambda one: one.time_s)
    half = len(heard) // 2
    steady = Watcher()
    watch_receptions(steady, heard)
    first = Watcher()
    watch_receptions(first, heard[:half])
    store.save(first.changed())
    assert first.changed() == {}
    second = Watcher()
    second.restore(store.load())
    assert second.counters.restored == 2
    assert "learned" not in kinds(watch_receptions(second, heard[half:]))
    now = heard[-1].time_s
    for name in ("a", "b"):
        assert second.kpi(name, now) == steady.kpi(name, now)
    assert "offline" in kinds(second.tick(now + 1e5))


def test_a_state_that_cannot_be_read_is_counted_and_learned_anew(rng: np.random.Generator) -> None:
    watcher = Watcher()
    watcher.restore({"a": b"\x00", "b": b"", "c": b"\x93\x63\x90\x80"})
    assert (watcher.counters.not_restored, len(watcher)) == (3, 0)
    assert kinds(watch_receptions(watcher, receptions(rng))) == ["learned"]


def test_states_stay_small_and_their_size_does_not_grow(rng: np.random.Generator) -> None:
    sizes = []
    for slots in (200, 2000):
        watcher = Watcher()
        for one in receptions(rng, slots=slots):
            watcher.receive(one)
        sizes.append(len(watcher.changed()["a"]))
    assert max(sizes) < 1500
    assert sizes[1] < 1.2 * sizes[0]


@pytest.mark.parametrize("broken", [Reception("", 1.0), Reception("a", float("nan")), Reception("a", float("inf"))])
def test_what_is_no_reception_is_refused_and_counted(broken: Reception) -> None:
    watcher = Watcher()
    assert watcher.receive(broken) == []
    assert (watcher.counters.refused, len(watcher)) == (1, 0)


def test_clocks_that_jump_do_not_break_it(rng: np.random.Generator) -> None:
    watcher = Watcher()
    heard = receptions(rng)
    watch_receptions(watcher, heard[:50])
    assert watcher.tick(EPOCH_S - 1e6) == []
    for jump in (-1e7, 1e7, -3600.0):
        watcher.receive(Reception("a", heard[49].time_s + jump, "g"))
    watch_receptions(watcher, heard[50:])
    kpi = watcher.kpi("a", heard[-1].time_s)
    assert kpi is not None
    assert kpi.receptions == len(heard) + 3


def test_a_forgotten_device_is_gone(rng: np.random.Generator) -> None:
    watcher = Watcher()
    watch_receptions(watcher, receptions(rng))
    assert watcher.forget("a")
    assert not watcher.forget("a")
    assert watcher.tick(EPOCH_S + 1e9) == []
    assert watcher.kpi("a", 0.0) is None


def test_an_unsteady_device_is_missed_too(rng: np.random.Generator) -> None:
    watcher = Watcher()
    times = EPOCH_S + np.cumsum(rng.exponential(600.0, 60))
    events = watch_receptions(watcher, [Reception("a", float(t)) for t in times])
    assert "learned" not in kinds(events)
    later = [event for hour in range(100) for event in watcher.tick(float(times[-1]) + 3600.0 * hour)]
    assert kinds(later) == ["offline"]
