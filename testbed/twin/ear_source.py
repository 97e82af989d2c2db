"""An ear as a source of IQ at the pace of a clock, and as the air of an rtl_tcp server."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from sensing.source import IqBlock, SourceContext, Tuning
from testbed.twin.ear import CHUNK_S, Ear, Transmissions
from testbed.twin.scene import Scene, Sensor

# A chunk this late is not made any more: a dongle does not wait either, and its buffers hold about as much.
LATE_S: Final = 0.5
# Nobody is this late or early: the clock of the scene was set, and the ear goes on from there.
JUMP_S: Final = 30.0


@dataclass(slots=True)
class Pace:
    """How a live ear kept up, in chunks. late: handed out more than their own length after they were due. dropped: not
    made, because they were LATE_S behind. jumps: how often the scene's clock was set.
    """

    chunks: int = 0
    late: int = 0
    dropped: int = 0
    jumps: int = 0


@dataclass(frozen=True, slots=True)
class Clock:
    """now: seconds of the scene. wait: sleeps for seconds and returns True when it is time to stop. known: waits
    until what starts before a time of the scene is on the air; whether it is.
    """

    now: Callable[[], float]
    wait: Callable[[float], Any]
    known: Callable[[float], bool] = field(default=lambda time_s: True)


class EarSource(SourceContext):
    """Chunks of an ear when their last sample has been taken by the clock, time_s in seconds of the scene.

    What could not be made in time is missing and counted: IqBlock.lost_samples, and `pace`. Ends when the clock's wait
    says so or the air does not become known.
    """

    def __init__(self, ear: Ear, clock: Clock) -> None:
        self.ear, self.pace = ear, Pace()
        self._clock = clock
        self._closed = False

    @property
    def name(self) -> str:
        """The sensor's name in the scene."""
        return self.ear.sensor.name

    @property
    def tuning(self) -> Tuning:
        """What the sensor is set to; it does not know its own ppm."""
        sensor = self.ear.sensor
        return Tuning(sensor.center_hz, sensor.rate_hz, sensor.gain_db, agc=False)

    def blocks(self) -> Iterator[IqBlock]:
        """Blocks of one chunk (10 ms)."""
        samples, rate_hz = self.ear.chunk_samples, self.ear.real_rate_hz
        length_s = samples / rate_hz
        number = 0
        while not self._closed:
            due_s = self.ear.from_s + (number + 1) * length_s
            early_s = due_s - self._clock.now()
            if abs(early_s) > JUMP_S:
                self.pace.jumps += 1
                self.ear.move_to(self._clock.now())
                continue
            if early_s < -LATE_S:
                missing = math.ceil(-early_s / length_s)
                self.ear.skip(missing)
                self.pace.dropped += missing
                number += missing
                continue
            if early_s > 0 and self._clock.wait(early_s):
                return
            if not self._clock.known(due_s):
                return
            data = self.ear.chunk()
            self.pace.chunks += 1
            self.pace.late += self._clock.now() - due_s > CHUNK_S
            first = number * samples
            yield IqBlock(data, first, self.ear.from_s + first / rate_hz, self.pace.dropped * samples)
            number += 1

    def close(self) -> None:
        """No more blocks."""
        self._closed = True


@dataclass(frozen=True, slots=True)
class TwinAir:
    """What one sensor of a scene hears, for an rtl_tcp server: at the rate, centre and gain its client sets, from now.

    paces: the accounts of the connections so far.
    """

    scene: Scene
    sensor: Sensor
    transmissions: Transmissions
    clock: Clock
    seed: int | None = None
    paces: list[Pace] = field(default_factory=list)

    def account(self) -> str:
        """How it kept up so far, in words."""
        made, late, dropped = (
            sum(getattr(pace, name) for pace in self.paces) for name in ("chunks", "late", "dropped")
        )
        return f"{made} made, {late} late, {dropped} dropped"

    def warm_up(self) -> None:
        """Make ready before the first client comes."""
        from testbed.twin import kernels

        kernels.warm_up()

    def follows(self, before: Tuning, after: Tuning) -> bool:
        """Whether a client that sets `after` for `before` must be given another source: it hears any change."""
        return before != after

    def __call__(self, tuning: Tuning) -> EarSource:
        """An ear for a client, from the present second of the scene on; without a gain, at the scene's."""
        sensor = msgspec.structs.replace(
            self.sensor,
            center_hz=tuning.center_hz,
            rate_hz=tuning.rate_hz,
            gain_db=self.sensor.gain_db if tuning.gain_db is None else tuning.gain_db,
        )
        ear = Ear(self.scene, sensor, self.transmissions, seed=self.seed, from_s=self.clock.now())
        source = EarSource(ear, self.clock)
        self.paces.append(source.pace)
        return source
