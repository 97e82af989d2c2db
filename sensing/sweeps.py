"""Sensors that deliver power instead of IQ: sweeps of rtl_power, and spectral scans of an SX1302 gateway.

Both become rows of energies per subchannel, which the same detector judges that judges IQ. What they cannot promise
they say with a flag; FLAGS lists them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detector import Decisions, Design, Detector
from sensing.laws import detection_error_weight
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport

Floats = NDArray[np.float64]

# flag: what it tells an operator.
FLAGS: Final = {
    "relative_level": "dB of the tool's own scale, neither dBFS nor dBm: only differences mean something",
    "averaged": "the mean over the whole interval: a burst shorter than that is diluted by its share of the time",
    "partial_time": "the receiver hopped: it listened to this subchannel for a part of the interval only",
    "samples_assumed": "pf and pm rest on an assumed number of samples: trust pf_measured, once it is there",
    "coarse_levels": "levels come in steps of 4 dB",
    "maker_level": "dBm by the maker's RSSI offset, not by a calibration",
    "interval_assumed": "the length of the interval is not in the data and was assumed",
    "nonstationary": "the noise swings more than noise of constant power: pf is not kept, see pf_measured",
    "always_on": "something never pauses here: the noise floor is taken from the neighbours",
    "floor_held": "no noise could be told from signals just now: the floor is an older one",
}

# What noise powers are off by when averaged over seconds; without it thresholds would lie hundredths of a dB above
# the floor, which no receiver's gain keeps.
UNCERTAINTY_DB: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class EnergyRow:
    """Energies of all subchannels of a sensor in one interval, shape (C,), on the sensor's own scale."""

    time_s: float
    interval_s: float
    energies: Floats


@dataclass(frozen=True, slots=True, eq=False)
class EnergySensorConfig:
    """A sensor of energies. samples: effective independent samples of a cell, shape (C,).

    flags: raised for every record. dbm_of_unit: dBm of energy 1, None where the scale is not known in dBm.
    """

    name: str
    subchannels: tuple[Subchannel, ...]
    interval_s: float
    samples: Floats
    flags: tuple[str, ...]
    design: Design = field(default_factory=lambda: Design(uncertainty_db=UNCERTAINTY_DB))
    dbm_of_unit: float | None = None


class EnergySensor:
    """Fed with rows of energies in their order, answers with reports; the first after the detector's warm-up."""

    def __init__(self, config: EnergySensorConfig) -> None:
        self.config = config
        centers_hz = np.array([sub.center_hz for sub in config.subchannels])
        middle_hz, half_hz = (centers_hz.max() + centers_hz.min()) / 2, max(1.0, np.ptp(centers_hz) / 2)
        self._detector = Detector(
            config.design,
            config.interval_s,
            np.asarray(config.samples, dtype=np.float64),
            np.array([sub.bandwidth_hz for sub in config.subchannels]),
            (centers_hz - middle_hz) / half_hz,
        )
        self._waiting: list[EnergyRow] = []

    def feed(self, rows: Sequence[EnergyRow]) -> list[ChannelReport]:
        """Reports of the rows that can be judged by now, by time then subchannel."""
        return self._judge(rows, last=False)

    def flush(self) -> list[ChannelReport]:
        """At the end: reports of what waited for the warm-up."""
        return self._judge([], last=True)

    def _judge(self, rows: Sequence[EnergyRow], *, last: bool) -> list[ChannelReport]:
        self._waiting.extend(rows)
        energies = np.array([row.energies for row in rows]).reshape(-1, len(self.config.subchannels))
        reports: list[ChannelReport] = []
        for decisions in self._detector.feed(energies, last=last):
            count = len(decisions.energy)
            now, self._waiting = self._waiting[:count], self._waiting[count:]
            reports.extend(
                self._report(row, decisions, (index, column))
                for index, row in enumerate(now)
                for column in range(len(self.config.subchannels))
            )
        return reports

    def _report(self, row: EnergyRow, decisions: Decisions, cell: tuple[int, int]) -> ChannelReport:
        config, (index, column) = self.config, cell
        subchannel = config.subchannels[column]
        energy, noise = float(decisions.energy[cell]), float(decisions.noise[cell])
        pf, pm, share = float(decisions.pf[cell]), float(decisions.pm[cell]), float(decisions.occupancy.value[cell])
        quiet_pf = float(decisions.quiet_pf[cell])
        raised = {
            "nonstationary": decisions.nonstationary[cell],
            "always_on": decisions.borrowed[cell],
            "floor_held": decisions.held[index],
        }
        return ChannelReport(
            sensor=config.name,
            time_s=row.time_s,
            interval_s=row.interval_s,
            subchannel_hz=subchannel.center_hz,
            bandwidth_hz=subchannel.bandwidth_hz,
            energy_dbfs=_db(energy),
            noise_dbfs=_db(noise),
            threshold_dbfs=_db(float(decisions.threshold[cell])),
            snr_db=_db(energy / noise - 1.0) if energy > noise else None,
            pf=pf,
            pm=pm,
            busy=bool(decisions.busy[cell]),
            occupancy=share,
            weight=float(detection_error_weight(pf, pm, share)),
            occupancy_low=float(decisions.occupancy.low[cell]),
            occupancy_high=float(decisions.occupancy.high[cell]),
            pf_measured=None if math.isnan(quiet_pf) else quiet_pf,
            energy_dbm=None if config.dbm_of_unit is None else _db(energy) + config.dbm_of_unit,
            flags=(*config.flags, *(name for name, is_raised in raised.items() if is_raised)),
            signal_snr_db=_db(float(decisions.signal_snr[cell])),
            samples=float(config.samples[column]),
        )


def _db(ratio: float) -> float:
    return 10.0 * math.log10(max(ratio, 1e-30))
