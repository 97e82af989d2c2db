"""What a sensor says of one subchannel in one sensing interval: the record that sensing hands to everyone else."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from spectrum.eu868 import Subchannel


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """One subchannel in one sensing interval, as a sensor saw it.

    time_s: start of the interval, in seconds since the epoch (live) or since the first sample (a recording).
    Levels are relative to a full-scale complex sinusoid (dBFS), over the subchannel's bandwidth; energy_dbm is None
    without a calibration. pf, pm: by design law; pf_measured: from the spread of the quiet cells, None until known.
    occupancy: Pr(H1), corrected for Pf and Pm, with its interval. weight: Pm Pr(H1) + Pf Pr(H0).
    flags: impairments and caveats an operator can read, e.g. `clipping`, `nonstationary`.
    signal_snr_db: the SNR that pm is stated for, gamma_c of eq. (6): the mean of what was heard here, or the weakest
    signal of the design while nothing was. samples: effective number of independent samples in energy_dbfs.
    gain_db: the tuner gain really set, None when unknown.
    """

    sensor: str
    time_s: float
    interval_s: float
    subchannel_hz: float
    bandwidth_hz: float
    energy_dbfs: float
    noise_dbfs: float
    threshold_dbfs: float
    snr_db: float | None
    pf: float
    pm: float
    busy: bool
    occupancy: float
    weight: float
    occupancy_low: float = 0.0
    occupancy_high: float = 1.0
    pf_measured: float | None = None
    energy_dbm: float | None = None
    flags: tuple[str, ...] = ()
    signal_snr_db: float | None = None
    samples: float | None = None
    gain_db: float | None = None

    @property
    def subchannel(self) -> Subchannel:
        """The subchannel as the noun everyone shares."""
        return Subchannel(self.subchannel_hz, self.bandwidth_hz)

    def as_json(self) -> dict[str, Any]:
        """All fields under their own names, ready for one line of JSON."""
        return asdict(self)
