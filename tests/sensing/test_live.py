"""The clock of samples tells losses from delays and drift; the queue is bounded and counts."""

from __future__ import annotations

import numpy as np
import pytest

from sensing.live import Health, HealthLog, SampleClock, SampleQueue

RATE = 2.4e6
BLOCK = 16384


def arrivals(seconds: float, *, ppm: float = 0.0, jitter_s: float = 0.008, seed: int = 1) -> np.ndarray:
    """When blocks arrive: at their end by the dongle's crystal, delayed by up to `jitter_s`, in order."""
    count = int(seconds * RATE / BLOCK)
    ends_s = np.arange(1, count + 1) * BLOCK / RATE / (1 + ppm * 1e-6)
    return np.maximum.accumulate(ends_s + np.random.default_rng(seed).uniform(0, jitter_s, count))


@pytest.mark.parametrize("ppm", [0.0, 60.0, -60.0])
def test_a_drifting_crystal_is_no_loss_and_times_follow_it(ppm: float) -> None:
    clock = SampleClock(RATE)
    times = arrivals(120.0, ppm=ppm)
    lost = [clock.arrive(now_s, BLOCK) for now_s in times]
    assert sum(lost) == 0
    end_s = clock.samples / RATE / (1 + ppm * 1e-6)
    assert clock.time_s(clock.samples) == pytest.approx(end_s, abs=0.004)


def test_transfers_that_usb_lost_are_counted() -> None:
    clock = SampleClock(RATE)
    times = arrivals(60.0)
    keep = (np.random.default_rng(2).random(times.size) > 0.02) | (times > 50.0)  # the count comes a window late
    lost = sum(clock.arrive(now_s, BLOCK) for now_s in times[keep])
    gone = BLOCK * np.count_nonzero(~keep)
    assert lost == pytest.approx(gone, rel=0.05)


def test_a_delay_that_is_made_up_is_no_loss() -> None:
    clock = SampleClock(RATE)
    times = arrivals(30.0)
    late = (times > 10.0) & (times < 11.5)
    times[late] = 11.5  # the machine slept, the buffers held
    assert sum(clock.arrive(now_s, BLOCK) for now_s in times) == 0


def test_an_interruption_is_counted_at_once() -> None:
    clock = SampleClock(RATE)
    for now_s in arrivals(5.0):
        clock.arrive(now_s, BLOCK)
    stopped = clock.samples
    clock.resume()
    assert clock.arrive(9.0, BLOCK) == pytest.approx(4.0 * RATE, rel=0.01)
    assert clock.samples > stopped + BLOCK
    assert clock.arrive(9.0 + BLOCK / RATE, BLOCK) == 0


class Clocks:
    """A monotonic and a wall clock that a test turns by hand."""

    def __init__(self) -> None:
        self.monotonic_s, self.wall_s = 100.0, 1.7e9

    def queue(self, capacity_bytes: int) -> SampleQueue:
        return SampleQueue(
            RATE, capacity_bytes, monotonic=lambda: self.monotonic_s, wall=lambda: self.wall_s + self.monotonic_s
        )


def test_a_full_queue_drops_what_comes_and_says_how_much() -> None:
    clocks = Clocks()
    queue = clocks.queue(capacity_bytes=3 * 2 * BLOCK)
    for number in range(5):
        clocks.monotonic_s += BLOCK / RATE
        queue.push(bytes([number]) * 2 * BLOCK)
    assert (queue.lost_samples, queue.overrun_samples) == (2 * BLOCK, 2 * BLOCK)
    blocks = [queue.pull(0.0) for _ in range(3)]
    assert [block.samples[0] for block in blocks if block] == [0, 1, 2]
    assert queue.pull(0.0) is None
    clocks.monotonic_s += BLOCK / RATE
    queue.push(bytes([5]) * 2 * BLOCK)
    last = queue.pull(0.0)
    assert last is not None
    assert (last.first_sample, last.lost_samples, last.samples[0]) == (5 * BLOCK, 2 * BLOCK, 5)


def test_a_jump_of_the_wall_clock_moves_the_times_and_loses_nothing() -> None:
    clocks = Clocks()
    queue = clocks.queue(capacity_bytes=1 << 20)
    times = []
    for number in range(8):
        clocks.monotonic_s += BLOCK / RATE
        clocks.wall_s += 3600.0 * (number == 4)
        queue.push(bytes(2 * BLOCK))
        block = queue.pull(0.0)
        assert block is not None
        times.append(block.time_s)
    assert queue.lost_samples == 0
    steps = np.diff(times)
    assert steps[3] == pytest.approx(3600.0 + BLOCK / RATE, abs=1e-6)
    assert np.delete(steps, 3) == pytest.approx(BLOCK / RATE, abs=1e-6)


def test_health_is_told_when_it_changes_only() -> None:
    told: list[Health] = []
    log = HealthLog(told.append, now=lambda: 5.0)
    for state in ("running", "stale", "stale", "running", "running"):
        log.turn(state, "silent" if state == "stale" else "")  # type: ignore[arg-type]
    assert [(health.state, health.restarts, health.reason) for health in told] == [
        ("stale", 0, "silent"),
        ("running", 1, ""),
    ]
