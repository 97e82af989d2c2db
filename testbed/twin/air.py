"""The air of a scene: who sends what and when, and how strongly it arrives at a sensor, a gateway or a device.

There is one link budget, pure and seeded: a link has the same shadowing both ways, and a packet the same fading
at a receiver, whoever asks and in whatever order. `Air` is the queue between the site, which puts
transmissions on the air ahead of their start, and whoever listens.
"""

from __future__ import annotations

import hashlib
import math
import threading
from bisect import insort
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist
from typing import Final, Literal, Protocol

import msgspec

from spectrum.eu868 import Subchannel
from spectrum.units import db_from_linear
from testbed.twin.scene import Propagation, Scene

CARRIER_MHZ: Final = 868.0
THERMAL_NOISE_DBM_HZ: Final = -174.0  # kT at 290 K
NEAREST_M: Final = 1.0  # nothing is nearer to anything than the model holds

# Deepest fade that is drawn; below it a packet is lost at any receiver.
DEEPEST_FADE_DB: Final = -60.0

Kind = Literal["lora", "sigfox", "carrier", "burst", "wmbus", "recording"]

# What fading is drawn for: frames. Interferers stand still, and a carrier would fade at its start and never again.
FRAMES: Final = ("lora", "sigfox")


class Transmission(msgspec.Struct, frozen=True, kw_only=True):
    """One emission. start_s: seconds from the scene's start. airtime_s: infinite for an interferer without an end.

    source: name of the device, gateway or interferer, which also names the link. payload: the PHY payload of a LoRa
    frame, the application payload of a SigFox message. copy: 0 to 2 of a SigFox message. downlink: sent by a gateway,
    with inverted chirps and without payload CRC.
    """

    transmission_id: int
    kind: Kind
    start_s: float
    airtime_s: float
    center_hz: float
    bandwidth_hz: float
    eirp_dbm: float
    x_m: float
    y_m: float
    source: str
    payload: bytes = b""
    spreading_factor: int | None = None
    coding_rate: int = 1
    copy: int = 0
    downlink: bool = False
    file: str | None = None

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.start_s + self.airtime_s

    @property
    def subchannel(self) -> Subchannel:
        """The spectrum it fills."""
        return Subchannel(self.center_hz, self.bandwidth_hz)

    def overlaps(self, start_s: float, end_s: float) -> bool:
        """Whether it is on the air at any time of [start_s, end_s)."""
        return self.start_s < end_s and start_s < self.end_s


class Receiver(Protocol):
    """What hears: a sensor, a gateway or a device of the scene."""

    @property
    def name(self) -> str: ...

    @property
    def x_m(self) -> float: ...

    @property
    def y_m(self) -> float: ...


def path_loss_db(propagation: Propagation, distance_m: float) -> float:
    """reference + 10 n log10(d / d0): the log-distance model, from NEAREST_M on."""
    reference_db = propagation.reference_loss_db
    if reference_db is None:
        reference_db = 20.0 * math.log10(CARRIER_MHZ * propagation.reference_m) - 28.0
    decades = math.log10(max(distance_m, NEAREST_M) / propagation.reference_m)
    return reference_db + 10.0 * propagation.exponent * decades


def uniform(*words: object) -> float:
    """A number in (0, 1) that depends on the words alone."""
    digest = hashlib.blake2b("\0".join(map(str, words)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") + 0.5) / 2.0**64


def _normal(*words: object) -> float:
    return NormalDist().inv_cdf(min(max(uniform(*words), 1e-15), 1.0 - 1e-15))


def shadowing_db(propagation: Propagation, seed: int, one: str, other: str) -> float:
    """Log-normal part of the link between two names: drawn once, the same in both directions."""
    if propagation.shadowing_db == 0.0:
        return 0.0
    first, second = sorted((one, other))
    return propagation.shadowing_db * _normal(seed, "shadowing", first, second)


def fading_db(propagation: Propagation, seed: int, transmission_id: int, receiver: str) -> float:
    """Gain of one packet at one receiver against its mean power: |h|^2 in decibels, with E|h|^2 = 1.

    Rayleigh: |h|^2 is exponential. Rician: a direct path of K / (K + 1) and scattered ones of 1 / (K + 1).
    """
    if propagation.fading == "none":
        return 0.0
    words = (seed, "fading", transmission_id, receiver)
    if propagation.fading == "rayleigh":
        gain = -math.log(uniform(*words))
    else:
        k = 10.0 ** (propagation.rician_k_db / 10.0)
        direct, scattered = math.sqrt(k / (k + 1.0)), math.sqrt(0.5 / (k + 1.0))
        gain = (direct + scattered * _normal(*words, "re")) ** 2 + (scattered * _normal(*words, "im")) ** 2
    return max(DEEPEST_FADE_DB, db_from_linear(gain))


@lru_cache(maxsize=1 << 16)
def _link_gain_db(
    propagation: Propagation, seed: int, one: str, from_m: tuple[float, float], other: str, to_m: tuple[float, float]
) -> float:
    loss_db = path_loss_db(propagation, math.dist(from_m, to_m))
    return shadowing_db(propagation, seed, one, other) - loss_db


def link_gain_db(scene: Scene, source: str, from_m: tuple[float, float], receiver: Receiver) -> float:
    """Mean gain of a link, path loss and shadowing: negative decibels."""
    to_m = receiver.x_m, receiver.y_m
    return _link_gain_db(scene.propagation, scene.seed, source, from_m, receiver.name, to_m)


def received_power_dbm(scene: Scene, transmission: Transmission, receiver: Receiver) -> float:
    """Level of a transmission at an isotropic antenna of the receiver, over all of its bandwidth."""
    gain_db = link_gain_db(scene, transmission.source, (transmission.x_m, transmission.y_m), receiver)
    if transmission.kind in FRAMES:
        gain_db += fading_db(scene.propagation, scene.seed, transmission.transmission_id, receiver.name)
    return transmission.eirp_dbm + gain_db


def noise_dbm(bandwidth_hz: float, noise_figure_db: float) -> float:
    """Thermal noise and the receiver's own, over a bandwidth."""
    return THERMAL_NOISE_DBM_HZ + 10.0 * math.log10(bandwidth_hz) + noise_figure_db


class Air:
    """Transmissions in order of their start, safe between threads.

    `known_until_s` is the site's promise: whatever starts before it has been put. A listener that wants [t0, t1) of the
    air waits until it is at least t1.
    """

    def __init__(self) -> None:
        self._ordered: list[tuple[float, int, Transmission]] = []
        self._lock = threading.Condition()
        self._known_until_s = -math.inf
        self._watchers: list[Callable[[Transmission], None]] = []

    @property
    def known_until_s(self) -> float:
        """Whatever starts before this has been put."""
        return self._known_until_s

    def watch(self, watcher: Callable[[Transmission], None]) -> None:
        """Call `watcher` with every transmission that is put from now on."""
        self._watchers.append(watcher)

    def put(self, transmission: Transmission) -> None:
        """Put a transmission on the air, ahead of its start."""
        with self._lock:
            insort(self._ordered, (transmission.start_s, transmission.transmission_id, transmission))
        for watcher in self._watchers:
            watcher(transmission)

    def promise(self, until_s: float) -> None:
        """Whatever starts before `until_s` has been put."""
        with self._lock:
            self._known_until_s = max(self._known_until_s, until_s)
            self._lock.notify_all()

    def wait_until_known(self, until_s: float, timeout_s: float) -> bool:
        """Wait for the promise; whether it came in time."""
        with self._lock:
            return self._lock.wait_for(lambda: self._known_until_s >= until_s, timeout_s)

    def transmissions_between(self, from_s: float, until_s: float) -> list[Transmission]:
        """All that are on the air at any time of [from_s, until_s), by start."""
        with self._lock:
            return [one for start_s, _, one in self._ordered if start_s < until_s and one.end_s > from_s]

    def forget_before(self, time_s: float) -> None:
        """Let go of what ended before `time_s`."""
        with self._lock:
            self._ordered = [entry for entry in self._ordered if entry[2].end_s >= time_s]
