"""Channel status and leases: what the database keeps of a site, and what the allocator decides over."""

from __future__ import annotations

from dataclasses import dataclass

from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel


def detection_error_weight(pf: float, pm: float, occupancy: float) -> float:
    """Pm Pr(H1) + Pf Pr(H0): the RRM paper's "probability of interference" (line 6 of its Algorithm 1).

    It is the total detection error: with one Pf for all, a busier subchannel weighs LESS whenever Pm < Pf.
    """
    return pm * occupancy + pf * (1.0 - occupancy)


def posterior_busy(pf: float, pm: float, occupancy: float) -> float:
    """Pr(H1 | declared idle) = Pm p1 / (Pm p1 + (1 - Pf) p0); 1 where an idle verdict is impossible (notes 1.1.9)."""
    missed = pm * occupancy
    idle = missed + (1.0 - pf) * (1.0 - occupancy)
    return missed / idle if idle > 0.0 else 1.0


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """What is known of one subchannel of a site, from all its sensors.

    measured_s: when, in seconds since the epoch. Levels in dBFS over the subchannel. pf, pm: of the verdict as it
    stands. occupancy: Pr(H1).
    """

    subchannel: Subchannel
    measured_s: float
    energy_dbfs: float
    noise_dbfs: float
    threshold_dbfs: float
    pf: float
    pm: float
    occupancy: float
    snr_db: float | None = None
    sensors: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def busy(self) -> bool:
        """Declared busy: E_c >= E_th (eq. (2), (3) of the RRM paper)."""
        return self.energy_dbfs >= self.threshold_dbfs

    @property
    def weight(self) -> float:
        """Detection-error weight."""
        return detection_error_weight(self.pf, self.pm, self.occupancy)


@dataclass(frozen=True, slots=True)
class Lease:
    """A subchannel of a site, promised to one device for [start_s, end_s).

    attempt: 1..N, the try that succeeded; N when forced. forced: all N tries failed and the last draw stands, so the
    air may be shared. state: `granted`, or `confirmed` by the device's answer.
    """

    lease_id: str
    device: str
    gateway: str
    subchannel: Subchannel
    start_s: float
    end_s: float
    attempt: int
    forced: bool
    state: str = "granted"

    def __post_init__(self) -> None:
        if not self.start_s < self.end_s:
            raise BadInput(f"a lease must end after it starts, got [{self.start_s}, {self.end_s})")

    def overlaps(self, start_s: float, end_s: float) -> bool:
        """Whether the lease shares any time with [start_s, end_s)."""
        return self.start_s < end_s and start_s < self.end_s
