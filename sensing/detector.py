"""From energies to decisions: floor, threshold, busy or idle, error probabilities and occupancy, cell by cell.

The detector knows nothing of IQ: whatever delivers energies per subchannel and interval can be judged by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.floor import (
    DEFAULT_POLICY,
    EXCISION_PF,
    Floats,
    Floor,
    History,
    noise_quantile,
    policy_named,
)
from sensing.laws import DEFAULT_LAW, DEFAULT_RULE, RULES, law_named, minimum_snr, threshold_bounds
from sensing.occupancy import Occupancy, OccupancyMemory
from spectrum.errors import BadInput

SHORT_WINDOW_S: Final = 0.5
LONG_WINDOW_S: Final = 10.0
UPDATE_S: Final = 0.1
FEWEST_RECENT: Final = 10
FEWEST_LONG: Final = 100

# Quiet cells below which their spread says nothing.
FEWEST_QUIET: Final = 30
# -200 dBFS, far below what any converter resolves: what samples of zero are taken for.
SILENCE: Final = 1e-20
# Share of a normal variable that lies below one standard deviation under its mean.
LOWER_SIGMA: Final = 0.1587
# Noise that amounts to less than this share of the samples of the design is called nonstationary: its Pf of 0.2 is
# then above 0.23.
LEAST_SHARE: Final = 0.75


@dataclass(frozen=True, slots=True)
class Design:
    """What the detector promises, and how.

    pf, pm: largest tolerated error probabilities. law, rule, floor: names in LAWS, RULES and POLICIES.
    uncertainty_db: how far the noise may be off. snr_db: the weakest signal to be heard; None for the weakest that the
    pair allows. memory_s: time constant of the occupancy. warmup_s: what is gathered before the first decision.
    """

    pf: float = 0.2
    pm: float = 0.1
    law: str = DEFAULT_LAW
    rule: str = DEFAULT_RULE
    floor: str = DEFAULT_POLICY
    uncertainty_db: float = 0.0
    snr_db: float | None = None
    memory_s: float = 60.0
    warmup_s: float = SHORT_WINDOW_S

    def __post_init__(self) -> None:
        law_named(self.law)
        policy_named(self.floor)
        if self.rule not in RULES:
            raise BadInput(f"unknown threshold rule {self.rule!r}: expected one of {', '.join(RULES)}")
        for name in ("pf", "pm"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise BadInput(f"{name} must lie between 0 and 1, got {getattr(self, name)}")
        if not self.memory_s > 0 or not self.warmup_s >= 0 or not self.uncertainty_db >= 0:
            raise BadInput("memory must be above 0 s, warm-up and noise uncertainty 0 or more")


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """Thresholds over the noise, shape (C,), with what the law says of them; constant for a detector."""

    ratio: Floats
    pf: Floats
    weakest_snr: Floats  # what pm is stated for while no signal is known
    pm: Floats  # at weakest_snr
    feasible: bool


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """R judged rows of C cells; all arrays of shape (R, C) unless said otherwise.

    quiet_pf: Pf from the spread of the quiet cells, NaN until known. nonstationary: that spread is wider than noise of
    constant power has. held, few: shape (R,): the floor is an older one; it rests on hardly any intervals. borrowed:
    see Floor. signal_snr: mean SNR of what was heard (linear), or the weakest SNR of the design.
    """

    energy: Floats
    noise: Floats
    threshold: Floats
    busy: NDArray[np.bool_]
    pf: Floats
    pm: Floats
    signal_snr: Floats
    occupancy: Occupancy
    quiet_pf: Floats
    nonstationary: NDArray[np.bool_]
    borrowed: NDArray[np.bool_]
    held: NDArray[np.bool_]
    few: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Beliefs:
    """What holds from one update of the floor to the next; shapes (C,)."""

    floor: Floor
    pm: Floats
    signal_snr: Floats
    quiet_pf: Floats
    nonstationary: NDArray[np.bool_]


@dataclass(eq=False)
class Detector:
    """Judges rows of energies in their order. The result depends on the rows alone, not on how they are handed over.

    interval_s: length of a sensing interval. samples: effective independent samples per cell, shape (C,).
    bandwidth_hz, offset: see History.
    """

    design: Design
    interval_s: float
    samples: Floats
    bandwidth_hz: Floats
    offset: Floats
    thresholds: Thresholds = field(init=False)

    def __post_init__(self) -> None:
        self.thresholds = design_thresholds(self.design, self.samples)
        self._policy = policy_named(self.design.floor)
        self._recent = max(FEWEST_RECENT, round(SHORT_WINDOW_S / self.interval_s))
        self._long = max(FEWEST_LONG, round(LONG_WINDOW_S / self.interval_s))
        self._update = max(1, round(UPDATE_S / self.interval_s))
        self._warmup = max(FEWEST_RECENT, round(self.design.warmup_s / self.interval_s))
        columns = self.samples.size
        self._cells = np.empty((0, columns))
        self._levels = np.empty(0)
        self._since_update = 0
        self._beliefs: _Beliefs | None = None
        self._memory = OccupancyMemory(columns, math.exp(-self.interval_s / self.design.memory_s))

    def feed(self, energies: Floats, *, last: bool = False) -> list[Decisions]:
        """Judge rows, shape (R, C). Nothing comes back during the warm-up, then everything at once.

        last: no more rows will come, judge what is there.
        """
        energies = np.maximum(energies, SILENCE)
        if self._beliefs is None:
            self._cells = np.concatenate([self._cells, energies])
            if len(self._cells) == 0 or (len(self._cells) < self._warmup and not last):
                return []
            energies, self._cells = self._cells, self._cells[:0]
            return self._begin(energies)
        return self._go_on(energies)

    def _begin(self, energies: Floats) -> list[Decisions]:
        """Floor from the whole warm-up, then everything in it judged with that; the rest as usual."""
        first, rest = energies[: self._warmup], energies[self._warmup :]
        self._cells, self._levels = first, np.ones(len(first))
        floor = self._policy(self._history(), None, 0)
        self._beliefs = self._believe(floor)
        judged = [self._judge(first)]
        self._beliefs = self._believe(floor)
        return judged + (self._go_on(rest) if len(rest) else [])

    def _go_on(self, energies: Floats) -> list[Decisions]:
        judged = []
        while len(energies):
            assert self._beliefs is not None
            now = energies[: self._update - self._since_update]
            energies = energies[len(now) :]
            judged.append(self._judge(now))
            self._remember(now)
            self._since_update += len(now)
            if self._since_update == self._update:
                floor = self._policy(self._history(), self._beliefs.floor, self._update)
                self._beliefs = self._believe(floor)
                self._since_update = 0
        return judged

    def _remember(self, energies: Floats) -> None:
        assert self._beliefs is not None
        levels = np.full(len(energies), self._beliefs.floor.level)
        self._cells = np.concatenate([self._cells[-self._long + len(energies) :], energies])
        self._levels = np.concatenate([self._levels[-self._long + len(energies) :], levels])

    def _history(self) -> History:
        recent = min(self._recent, len(self._cells))
        return History(self._cells, self._levels, recent, self.samples, self.bandwidth_hz, self.offset)

    def _judge(self, energies: Floats) -> Decisions:
        assert self._beliefs is not None
        beliefs, thresholds = self._beliefs, self.thresholds
        shape = energies.shape
        noise = beliefs.floor.noise
        threshold = noise * thresholds.ratio
        busy = energies >= threshold
        occupancy = self._memory.update(busy, energies / noise - 1.0, thresholds.pf, beliefs.pm)
        return Decisions(
            energy=energies,
            noise=np.broadcast_to(noise, shape),
            threshold=np.broadcast_to(threshold, shape),
            busy=busy,
            pf=np.broadcast_to(thresholds.pf, shape),
            pm=np.broadcast_to(beliefs.pm, shape),
            signal_snr=np.broadcast_to(beliefs.signal_snr, shape),
            occupancy=occupancy,
            quiet_pf=np.broadcast_to(beliefs.quiet_pf, shape),
            nonstationary=np.broadcast_to(beliefs.nonstationary, shape),
            borrowed=np.broadcast_to(beliefs.floor.borrowed, shape),
            held=np.full(len(energies), beliefs.floor.held),
            few=np.full(len(energies), len(self._cells) < FEWEST_RECENT),
        )

    def _believe(self, floor: Floor) -> _Beliefs:
        """Pm at the mean SNR of what is heard, Pf from the spread of the quiet cells."""
        thresholds = self.thresholds
        heard = self._memory.mean_snr(thresholds.pf, thresholds.pm)
        signal_snr = np.where(np.isnan(heard), thresholds.weakest_snr, heard)
        pm = thresholds.pm.copy()
        for column in np.flatnonzero(~np.isnan(heard)):
            pm[column] = self._pm(float(thresholds.ratio[column]), float(self.samples[column]), float(heard[column]))
        before = self._beliefs
        if before is not None and floor.reshaped_rows > 0:
            return _Beliefs(floor, pm, signal_snr, before.quiet_pf, before.nonstationary)
        relative = self._cells / (self._levels[:, None] * floor.shape)
        found = quiet_samples(relative, self.samples)
        quiet_pf = np.asarray(law_named("exact").pf(thresholds.ratio, found.samples))
        return _Beliefs(floor, pm, signal_snr, quiet_pf, found.nonstationary)

    def _pm(self, ratio: float, samples: float, snr: float) -> float:
        # 12 standard deviations: below 1e-32 whatever the law.
        if (1.0 + snr - ratio) * math.sqrt(samples / (1.0 + 2.0 * snr + snr * snr)) > 12.0:
            return 0.0
        return float(law_named(self.design.law).pm(ratio, samples, snr))


def design_thresholds(design: Design, samples: Floats) -> Thresholds:
    """Thresholds over the noise and what they promise, for the samples of each subchannel, shape (C,)."""
    law = law_named(design.law)
    known: dict[float, tuple[float, float, float, bool]] = {}
    for count in set(samples.tolist()):
        options = {"law": design.law, "uncertainty_db": design.uncertainty_db}
        snr = (
            minimum_snr(count, design.pf, design.pm, **options)  # type: ignore[arg-type]
            if design.snr_db is None
            else 10.0 ** (design.snr_db / 10.0)
        )
        bounds = threshold_bounds(count, snr, design.pf, design.pm, **options)  # type: ignore[arg-type]
        ratio = RULES[design.rule](bounds)
        known[count] = (ratio, snr, float(law.pm(ratio, count, snr)), bounds.feasible or design.snr_db is None)
    rows = np.array([known[count][:3] for count in samples.tolist()]).reshape(-1, 3)
    return Thresholds(
        ratio=rows[:, 0],
        pf=np.round(law.pf(rows[:, 0], samples), 12),  # without the noise of inverting back and forth
        weakest_snr=rows[:, 1],
        pm=np.round(rows[:, 2], 12),
        feasible=all(entry[3] for entry in known.values()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class QuietSpread:
    """Samples that the spread of the quiet cells amounts to, NaN until known; whether that is too few; shapes (C,)."""

    samples: Floats
    nonstationary: NDArray[np.bool_]


def quiet_samples(relative: Floats, samples: Floats) -> QuietSpread:
    """Effective samples from the lower half of the quiet cells' spread, cells as energy over floor, shape (T, C).

    The lower half is free of weak signals. Noise of constant power gives the effective samples of the design, noise
    that swings gives fewer. Where a subchannel has too few quiet cells, those of all subchannels speak for it.
    """
    quiet = relative <= noise_quantile(1.0 - EXCISION_PF, samples)
    expected = 1.0 - noise_quantile(LOWER_SIGMA, samples) / noise_quantile(0.5, samples)
    deviations = np.where(quiet, (relative - 1.0) / expected, np.nan)  # in standard deviations of the design
    counts = np.count_nonzero(quiet, axis=0)
    few = counts < FEWEST_QUIET
    spread = np.full(samples.size, np.nan)
    if not few.all():
        spread[~few] = _lower_spread(deviations[:, ~few])
    if few.any() and counts.sum() >= FEWEST_QUIET:
        spread[few] = _lower_spread(deviations[quiet][:, None])
        counts[few] = counts.sum()
    shares = 1.0 / np.maximum(spread, 0.1) ** 2  # a spread far below that of noise is none of noise
    # The spread of n cells is itself uncertain by about 1/sqrt(n) (a quantile of half of them).
    slack = 1.0 + 5.0 / np.sqrt(np.maximum(counts, 1))
    return QuietSpread(samples * shares, np.nan_to_num(shares * slack, nan=np.inf) < LEAST_SHARE)


def _lower_spread(deviations: Floats) -> Floats:
    """Distance from the median of each column, NaN left out, down to where a normal variable is one deviation below."""
    ordered = np.sort(deviations, axis=0)  # NaN last
    last = np.count_nonzero(~np.isnan(ordered), axis=0) - 1
    low, middle = (
        np.take_along_axis(ordered, np.rint(share * last).astype(np.intp)[None, :], axis=0)[0]
        for share in (LOWER_SIGMA, 0.5)
    )
    return np.asarray(middle - low)
