"""The methods by name: from one stream's receptions to applications and an outage. One line each in METHODS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from monitoring.periodic.classification import KnownApplication, classify
from monitoring.periodic.lattice import Floats
from monitoring.periodic.naive import WINDOW_S, naive_mean_outage
from monitoring.periodic.regression import nhm
from monitoring.periodic.spc import LARGEST_PSI, Cluster, clustered_outage, goc, spc
from monitoring.periodic.stream import analyse


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a method says of a stream: outage p* (eq. E.4) and applications; none for the naive method."""

    outage: float
    clusters: tuple[Cluster, ...] = ()


Method = Callable[[Floats, int], Estimate]


def by_lattice(times_s: Floats, psi: int = LARGEST_PSI) -> Estimate:
    """The default of the command, for streams without labels. psi is not used: significance decides."""
    return _followed(times_s, labelled=False)


def by_lattice_labelled(times_s: Floats, psi: int = LARGEST_PSI) -> Estimate:
    """The default of the command, for one labelled application."""
    return _followed(times_s, labelled=True)


def by_nhm(times_s: Floats, psi: int = LARGEST_PSI) -> Estimate:
    """NHM from the smallest gap."""
    return _regressed(times_s, from_mean=False)


def by_nhm_mean(times_s: Floats, psi: int = LARGEST_PSI) -> Estimate:
    """NHM from the mean gap, as printed."""
    return _regressed(times_s, from_mean=True)


def by_spc(times_s: Floats, psi: int = LARGEST_PSI) -> Estimate:
    """Successive Periodicity Clustering; no application found is an outage of 0."""
    clusters, _ = spc(times_s, psi)
    return Estimate(clustered_outage(clusters), tuple(clusters))


def by_goc(times_s: Floats, psi: int = LARGEST_PSI) -> Estimate:
    """Greedy Online Clustering, one reception after the other."""
    clusters = goc(times_s, psi).clusters
    return Estimate(clustered_outage(clusters), tuple(clusters))


def by_naive(times_s: Floats, psi: int = LARGEST_PSI) -> Estimate:
    """The fullest window against each window."""
    return Estimate(naive_mean_outage(times_s, WINDOW_S))


METHODS: Final[dict[str, Method]] = {
    "lattice": by_lattice,
    "nhm": by_nhm,
    "nhm-mean": by_nhm_mean,
    "spc": by_spc,
    "goc": by_goc,
    "naive": by_naive,
}


def by_known(times_s: Floats, applications: Sequence[KnownApplication]) -> Estimate:
    """Periods known: receptions are classified (all are the application's if it is the only one), then counted.

    Slots between receptions are counted gap by gap, so an offset need not be known and drift does no harm.
    """
    alone = len(applications) == 1
    owner = np.zeros(times_s.size, dtype=np.int64) if alone else classify(times_s, applications)
    clusters = []
    for index, one in enumerate(applications):
        mine = times_s[owner == index]
        if mine.size:
            orders = np.maximum(1, np.rint(np.diff(mine) / one.period_s))
            clusters.append(Cluster(one.period_s, mine, 1 + int(orders.sum())))
    return Estimate(clustered_outage(clusters), tuple(clusters))


def _regressed(times_s: Floats, from_mean: bool) -> Estimate:
    if times_s.size < 2 or times_s[-1] <= times_s[0]:
        return Estimate(0.0)
    result = nhm(times_s, "mean" if from_mean else "min")
    return Estimate(result.outage, (Cluster(result.period_s, times_s, result.transmitted),))


def _followed(times_s: Floats, labelled: bool) -> Estimate:
    if times_s.size == 0:
        return Estimate(0.0)
    stream, _ = analyse(times_s - times_s[0], labelled)
    sent = sum(track.received + track.missed for track in stream.tracks)
    received = sum(track.received for track in stream.tracks)
    clusters = tuple(
        Cluster(track.period_s, np.array([track.first_s, track.last_s]) + times_s[0], track.received + track.missed)
        for track in stream.tracks
    )
    return Estimate(1 - received / sent if sent else 0.0, clusters)
