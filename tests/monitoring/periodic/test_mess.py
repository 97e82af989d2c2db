"""What real devices do: drift, jump, change, sleep, repeat themselves. Batch and online must both count right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from monitoring.periodic.lattice import Floats
from monitoring.periodic.learning import Change
from monitoring.periodic.stream import StreamState, analyse


def online(times_s: Floats, labelled: bool = False) -> tuple[StreamState, list[Change]]:
    """The stream one reception at a time."""
    stream = StreamState(labelled)
    changes = [change for time_s in times_s.tolist() for change in stream.receive(time_s)]
    return stream, changes


WAYS = pytest.mark.parametrize("way", [analyse, online], ids=["batch", "online"])


def counted(stream: StreamState) -> tuple[int, int]:
    """Reports received and missed."""
    return sum(one.received for one in stream.tracks), sum(one.missed for one in stream.tracks)


def periods(stream: StreamState) -> list[float]:
    """Periods, ascending, rounded to a second."""
    return sorted(round(one.period_s) for one in stream.tracks)


@WAYS
@pytest.mark.parametrize("jitter", [0.0, 0.003, 0.03, 0.06])
def test_jitter(way: Callable, draw: Callable, jitter: float) -> None:  # type: ignore[type-arg]
    scene = draw(100, outage=0.3, jitter=jitter)
    stream, _ = way(scene.times_s)
    assert counted(stream) == (scene.times_s.size, scene.sent - scene.times_s.size)
    assert periods(stream) == [600]


@WAYS
def test_a_clock_that_drifts(way: Callable, draw: Callable) -> None:  # type: ignore[type-arg]
    scene = draw(300)
    # the period grows by 1 % over the trace: a straight line would be wrong by more than half a period
    times = scene.times_s * (1 + 0.005 * scene.times_s / scene.times_s[-1])
    stream, _ = way(times)
    assert counted(stream) == (times.size, scene.sent - times.size)


@WAYS
def test_a_schedule_that_restarts_at_every_report(way: Callable, rng: np.random.Generator) -> None:  # type: ignore[type-arg]
    sent = np.cumsum(rng.normal(600, 25, 400))
    heard = np.flatnonzero(rng.random(400) >= 0.2)
    stream, _ = way(sent[heard])
    received, missed = counted(stream)
    assert received >= heard.size - 3
    assert received + missed == pytest.approx(heard[-1] - heard[0] + 1, abs=3)


@WAYS
@pytest.mark.parametrize(("before_s", "after_s"), [(600, 900), (600, 1200), (1200, 600), (900, 750)])
def test_a_period_that_changes(way: Callable, draw: Callable, before_s: float, after_s: float) -> None:  # type: ignore[type-arg]
    first = draw(100, before_s)
    second = draw(100, after_s, start_s=100 * before_s)
    times = np.concatenate([first.times_s, second.times_s])
    stream, changes = way(times)
    received, missed = counted(stream)
    assert received >= times.size - 2
    assert received + missed == pytest.approx(first.sent + second.sent, abs=6)
    if way is analyse:
        assert [change.kind for change in changes] == ["period_changed"]
        assert changes[0].time_s == pytest.approx(100 * before_s, abs=5 * max(before_s, after_s))


@WAYS
def test_a_daylight_saving_jump(way: Callable, draw: Callable) -> None:  # type: ignore[type-arg]
    first = draw(100, 7000, 0.1)
    second = draw(100, 7000, 0.1, start_s=100 * 7000 - 3600)
    times = np.concatenate([first.times_s, second.times_s])
    stream, changes = way(times)
    assert [one.period_s for one in stream.tracks] == [pytest.approx(7000, rel=2e-4)]
    received, missed = counted(stream)
    assert received == times.size
    assert received + missed == pytest.approx(first.sent + second.sent, abs=2)
    jumps = [change for change in changes if change.kind == "phase_jump"]
    assert len(jumps) == 1
    assert abs(jumps[0].values["shift_s"]) == pytest.approx(3400, abs=300)


@WAYS
@pytest.mark.parametrize("labelled", [False, True])
def test_bursts_of_retransmissions(way: Callable, draw: Callable, rng: np.random.Generator, labelled: bool) -> None:  # type: ignore[type-arg]
    scene = draw(200)
    copies = np.concatenate([t + np.cumsum(rng.uniform(2, 8, rng.integers(0, 4))) for t in scene.times_s])
    stream, _ = way(np.sort(np.concatenate([scene.times_s, copies])), labelled)
    received, missed = counted(stream)
    assert received == pytest.approx(scene.times_s.size, abs=1)
    assert received + missed == pytest.approx(scene.sent, abs=1)
    assert stream.repeats + stream.strays == pytest.approx(copies.size, abs=1)


@WAYS
def test_a_device_that_sleeps_at_night(way: Callable, rng: np.random.Generator) -> None:  # type: ignore[type-arg]
    slot = np.arange(7 * 144)
    awake = (slot % 144 >= 48) & (slot % 144 < 108)
    heard = awake & (rng.random(slot.size) >= 0.05)
    stream, changes = way(600.0 * slot[heard] + rng.exponential(6, int(heard.sum())))
    received, missed = counted(stream)
    assert [change.kind for change in changes].count("silence") in (6, 7)
    assert received == pytest.approx(heard.sum(), abs=2)
    assert received + missed == pytest.approx(awake.sum(), abs=3)
    assert sum(one.silent_s for one in stream.tracks) == pytest.approx(6 * 84 * 600, rel=0.02)


@WAYS
def test_bursty_losses_are_outage_and_no_sleep(way: Callable, rng: np.random.Generator) -> None:  # type: ignore[type-arg]
    good, heard = True, []
    for slot in range(800):
        good = rng.random() >= 0.08 if good else rng.random() < 0.2
        if good:
            heard.append(slot)
    stream, _ = way(600.0 * np.array(heard) + rng.exponential(6, len(heard)))
    assert counted(stream) == (len(heard), heard[-1] - heard[0] + 1 - len(heard))


@WAYS
def test_strays_belong_to_no_application(way: Callable, draw: Callable, rng: np.random.Generator) -> None:  # type: ignore[type-arg]
    scene = draw(200)
    strays = rng.uniform(0, scene.times_s[-1], 25)
    stream, _ = way(np.sort(np.concatenate([scene.times_s, strays])))
    received, missed = counted(stream)
    assert received + missed == pytest.approx(scene.sent, abs=2)
    assert received == pytest.approx(scene.times_s.size, abs=4)


@WAYS
def test_two_applications_of_one_period_are_not_one_of_a_third(way: Callable, draw: Callable) -> None:  # type: ignore[type-arg]
    first, second = draw(300, outage=0.1), draw(300, outage=0.1, start_s=200.0)
    stream, _ = way(np.sort(np.concatenate([first.times_s, second.times_s])))
    assert periods(stream) == [600, 600]
    received, missed = counted(stream)
    assert received + missed == pytest.approx(first.sent + second.sent, abs=2)


@WAYS
def test_a_long_stream_of_two_applications(way: Callable, draw: Callable) -> None:  # type: ignore[type-arg]
    first, second = draw(1500, outage=0.1), draw(500, 1800.5, 0.1, start_s=200.0)
    stream, _ = way(np.sort(np.concatenate([first.times_s, second.times_s])))
    assert len(stream.tracks) == 2
    received, missed = counted(stream)
    assert missed / (received + missed) == pytest.approx(
        1 - (first.times_s.size + second.times_s.size) / (first.sent + second.sent), abs=0.004
    )


def test_late_receptions_are_put_right(draw: Callable, rng: np.random.Generator) -> None:  # type: ignore[type-arg]
    scene = draw(300)
    order = np.arange(scene.times_s.size)
    for index in rng.choice(np.arange(80, order.size - 10), 20, replace=False):
        order[[index, index + 3]] = order[[index + 3, index]]
    stream, _ = online(scene.times_s[order])
    assert counted(stream) == (scene.times_s.size, scene.sent - scene.times_s.size)
    assert stream.late > 0


def test_a_link_that_gets_worse_is_told_before_it_is_lost(draw: Callable) -> None:  # type: ignore[type-arg]
    first, second = draw(200, outage=0.05), draw(100, outage=0.5, start_s=200 * 600.0)
    for way in (analyse, online):
        stream, _ = way(np.concatenate([first.times_s, second.times_s]))
        assert stream.tracks[0].degraded
        assert not way(first.times_s)[0].tracks[0].degraded


def test_healthy_links_are_seldom_called_degraded(draw: Callable) -> None:  # type: ignore[type-arg]
    called = [analyse(draw(300, outage=p).times_s)[0].tracks[0].degraded for p in (0.02, 0.1, 0.3) for _ in range(60)]
    assert sum(called) <= 2


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_receptions_show_no_period(count: int) -> None:
    stream, changes = analyse(np.arange(count) * 600.0)
    assert (stream.tracks, changes, stream.strays) == ([], [], count)


def test_nothing_is_told_twice_while_a_stream_is_learned(draw: Callable) -> None:  # type: ignore[type-arg]
    first, second = draw(20, outage=0.0), draw(50, outage=0.0, start_s=120 * 600.0)
    _, changes = online(np.concatenate([first.times_s, second.times_s]))
    assert [change.kind for change in changes] == ["learned", "silence"]
