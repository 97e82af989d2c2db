"""Small scenes: one sensor in a corner, transmissions where a test wants them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from spectrum.lora import LoraModulation, airtime_s
from testbed.twin.air import Transmission
from testbed.twin.ear import Ear
from testbed.twin.scene import Impairments, Scene, Sensor


def ear_of(*transmissions, seed=1, from_s=0.0, scene=None, impairments=None, **sensor):
    """An ear at (0, 0) that hears just these."""
    ours = Sensor(**{"name": "roof", "x_m": 0.0, "y_m": 0.0, **sensor}, impairments=Impairments(**(impairments or {})))
    scene = scene or Scene(name="test", sensors=(ours,))
    return Ear(
        scene,
        ours,
        lambda low, high: [one for one in transmissions if one.overlaps(low, high)],
        seed=seed,
        from_s=from_s,
    )


def carrier_of(number=1, *, center_hz=868.1e6, eirp_dbm=0.0, start_s=0.0, airtime_s=float("inf"), x_m=300.0, **rest):
    """A carrier, or what else `kind` says."""
    fields = {"kind": "carrier", "bandwidth_hz": 100.0, "source": f"thing{number}", "y_m": 0.0, **rest}
    return Transmission(
        transmission_id=number,
        start_s=start_s,
        airtime_s=airtime_s,
        center_hz=center_hz,
        eirp_dbm=eirp_dbm,
        x_m=x_m,
        **fields,
    )


def frame_of(number=1, *, payload=b"payload", factor=7, start_s=0.0, **rest):
    """A LoRa frame."""
    length_s = airtime_s(LoraModulation(factor), len(payload))
    return carrier_of(
        number,
        kind="lora",
        payload=payload,
        spreading_factor=factor,
        bandwidth_hz=125e3,
        start_s=start_s,
        airtime_s=length_s,
        **rest,
    )


def power(iq, rate_hz, low_hz, high_hz):
    """Mean power between two frequencies."""
    spectrum = np.abs(np.fft.fft(iq)) ** 2 / iq.size**2
    hz = np.fft.fftfreq(iq.size, 1 / rate_hz)
    return spectrum[(hz >= low_hz) & (hz < high_hz)].sum()


@pytest.fixture(scope="session")
def twin_scenes():
    """ear_of, carrier_of, frame_of and power."""
    return SimpleNamespace(ear_of=ear_of, carrier_of=carrier_of, frame_of=frame_of, power=power)


@pytest.fixture
def twin(twin_scenes):
    """The same, for tests that do not outlive it."""
    return twin_scenes
