"""Finding the periodic applications in a stream of receptions of unknown origin.

Candidates for the period come from a comb spectrum, the H-test of pulsar astronomy (de Jager, Raubenheimer and
Swanepoel, 1989) computed by one FFT of the binned receptions, and from NHM started at the smallest gap. Each candidate
becomes a lattice, is fitted to what it explains and scored (lattice.score); the best one stays when it pays for its
parameters; then the rest is searched again, and all lattices are fitted together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from monitoring.periodic.lattice import Explanation, Floats, Lattice, explain, fit, settled
from monitoring.periodic.regression import nhm

# Harmonics summed by the H-test; oversampling keeps the highest within a quarter cycle over the whole span.
HARMONICS: Final = 6
OVERSAMPLING: Final = 2 * HARMONICS
# The shortest period looked for, as a share of the mean gap (the paper's L is 2: it cannot see beyond 50 % outage).
FASTEST: Final = 6.0
PEAKS: Final = 10
# A peak may stand at a multiple of the true frequency: these divisors of it are tried too.
DIVISORS: Final = (1, 2, 3, 4, 5)
# Above this outage a lattice is suspected to be the common divisor of others.
COMMON_DIVISOR_OUTAGE: Final = 0.33
# Factors by which a period may grow after an update, and nats that the moment of a change costs.
MULTIPLES: Final = (2, 3, 4, 5, 6)
CHANGE_COST: Final = 5.0
# A change is looked for this share of the span away from its ends, at so many moments at most.
EDGE: Final = 0.1
MOMENTS: Final = 4
# How often the lattices found are gone through for simpler ones.
PASSES: Final = 3
# Candidates that are fitted to the end, after one round for all.
FINALISTS: Final = 6
PHASE_BINS: Final = 40
MAX_APPLICATIONS: Final = 8
# Receptions searched at once: enough to be sure, few enough for a clock to keep one straight line.
WINDOW: Final = 256
LEAST_RECEPTIONS: Final = 3


def comb_spectrum(times_s: Floats) -> tuple[Floats, Floats]:
    """Frequencies in Hz and the H statistic there: H = max over m of (2/M sum_{k<=m} |R(k f)|^2 - 4m + 4)."""
    offset = times_s - times_s[0]
    span = float(offset[-1])
    fastest_hz = FASTEST * (times_s.size - 1) / span
    bin_s = 1 / (2 * HARMONICS * fastest_hz)
    bins = int(span / bin_s) + 1
    length = _fast_length(OVERSAMPLING * bins)
    power = np.abs(np.fft.rfft(np.bincount((offset / bin_s).astype(np.int64), minlength=bins), length)) ** 2
    power *= 2 / times_s.size
    top = (power.size - 1) // HARMONICS
    base = np.arange(top + 1)
    total = np.zeros(top + 1)
    best = np.full(top + 1, -np.inf)
    for m in range(1, HARMONICS + 1):
        total += power[base * m]
        np.maximum(best, total - 4 * m + 4, out=best)
    return base / (length * bin_s), best


def _fast_length(at_least: int) -> int:
    from scipy.fft import next_fast_len

    return int(next_fast_len(at_least, real=True))


def candidate_periods(times_s: Floats) -> Iterator[float]:
    """Periods worth a fit, in seconds: NHM's, then the strongest comb frequencies and their divisors."""
    yield nhm(times_s).period_s
    span = float(times_s[-1] - times_s[0])
    frequency, strength = comb_spectrum(times_s)
    # Below two cycles in the span everything fits.
    lowest = np.searchsorted(frequency, 1.5 / span)
    inner = strength[1:-1]
    peaks = np.flatnonzero((inner >= strength[:-2]) & (inner > strength[2:])) + 1
    peaks = peaks[peaks >= lowest]
    peaks = peaks[np.argsort(strength[peaks])[::-1][:PEAKS]]
    seen: list[float] = []
    for peak in peaks:
        for divisor in DIVISORS:
            candidate = frequency[peak] / divisor
            if candidate * span < 1.5 or any(abs(candidate - other) * span < 0.05 for other in seen):
                continue
            seen.append(candidate)
            yield 1 / candidate


def lattice_at(times_s: Floats, period_s: float, resolution_s: float = 0.0) -> Lattice | None:
    """The lattice of about this period with the most receptions in phase, fitted to them."""
    turn = times_s / period_s
    folded = turn - np.floor(turn)
    counts = np.bincount((folded * PHASE_BINS).astype(np.int64) % PHASE_BINS, minlength=PHASE_BINS)
    circle = np.concatenate([counts[-1:], counts, counts[:1]])
    middle = (int((circle[:-2] + circle[1:-1] + circle[2:]).argmax()) + 0.5) / PHASE_BINS
    current = Lattice(period_s, middle * period_s, 0.02 * period_s)
    for reach in (0.1, 0.15):
        near = np.abs(current.residuals_s(times_s)) < reach * current.period_s
        if near.sum() < LEAST_RECEPTIONS:
            return None
        fitted = fit(times_s[near], current.slots(times_s[near]), resolution_s)
        if fitted is None:
            return None
        current = fitted
    return current


def best_lattice(times_s: Floats, resolution_s: float = 0.0) -> Explanation | None:
    """The single lattice that explains these receptions best, all others taken for strays."""
    starts = [lattice_at(times_s, period, resolution_s) for period in candidate_periods(times_s)]
    rough = [explain(times_s, [start], 1, resolution_s) for start in starts if start is not None]
    best = sorted((one for one in rough if one.lattices), key=lambda one: -one.score)[:FINALISTS]
    final = [explain(times_s, one.lattices, 3, resolution_s) for one in best]
    return max((one for one in final if one.lattices), key=lambda one: one.score, default=None)


def find_applications(times_s: Floats, false_alarm: float = 0.01, resolution_s: float = 0.0) -> Explanation:
    """All periodic applications in `times_s` (ascending, seconds, shape (M,)), each significant at `false_alarm`."""
    needed = -float(np.log(false_alarm))
    found = _extended(times_s, explain(times_s, [], 1, resolution_s), needed, resolution_s)
    for _ in range(PASSES):
        simpler = _simplified(times_s, found, needed, resolution_s)
        if simpler is found:
            break
        found = simpler
    return settled(times_s, _with_changes(times_s, found, resolution_s))


def _extended(times_s: Floats, found: Explanation, needed: float, resolution_s: float) -> Explanation:
    """Add the best lattice of what is left, again and again, while the score grows by `needed` nats."""
    while len(found.lattices) < MAX_APPLICATIONS:
        rest = times_s[found.unowned]
        if rest.size < LEAST_RECEPTIONS or rest[-1] <= rest[0]:
            break
        more = best_lattice(rest, resolution_s)
        if more is None:
            break
        trial = explain(times_s, [*found.lattices, *more.lattices], 6, resolution_s)
        if trial.score < found.score + needed:
            break
        found = trial
    return found


def _simplified(times_s: Floats, found: Explanation, needed: float, resolution_s: float) -> Explanation:
    """Try, lattice by lattice, without it and with its period halved, doubled, ...; keep what scores better.

    A lattice that is mostly missed may be the common divisor of several: then its multiples are tried with company.
    """
    for index in range(len(found.lattices) - 1, -1, -1):
        if index >= len(found.lattices):
            continue
        others = [one for i, one in enumerate(found.lattices) if i != index]
        trials = [explain(times_s, others, 6, resolution_s)] if others else []
        member = times_s[found.members(index)]
        thin = found.lattices[index].outage > COMMON_DIVISOR_OUTAGE
        for factor in (1 / 2, 1 / 3, 2.0, 3.0, *(MULTIPLES[2:] if thin else ())):
            changed = lattice_at(member, found.lattices[index].period_s * factor, resolution_s)
            if changed is None:
                continue
            trial = explain(times_s, [*others, changed], 6, resolution_s)
            trials.append(_extended(times_s, trial, needed, resolution_s) if thin and factor > 1 else trial)
        best = max(trials, key=lambda one: one.score, default=found)
        if best.score > found.score:
            found = best
    return found


def _with_changes(times_s: Floats, found: Explanation, resolution_s: float) -> Explanation:
    """Try rhythms that change: a period that grows to a multiple, a lattice that hands over to a later, denser one."""
    for trial in [*_lengthened(times_s, found), *_handed_over(times_s, found)]:
        changed = explain(times_s, trial, 6, resolution_s)
        if changed.score > found.score + CHANGE_COST:
            found = changed
    for trial in _in_two_parts(times_s, found, resolution_s):
        changed = explain(times_s, trial, 6, resolution_s)
        if changed.score > found.score:
            found = changed
    for trial in _joined_halves(times_s, found):
        changed = explain(times_s, trial, 6, resolution_s)
        if changed.score > found.score - CHANGE_COST:
            return changed
    return found


def _lengthened(times_s: Floats, found: Explanation) -> Iterator[list[Lattice]]:
    """A lattice all of whose last (or first) gaps are multiples of m periods, split where that begins (or ends)."""
    for index, lattice in enumerate(found.lattices):
        member = times_s[found.members(index)]
        orders = np.diff(found.slot[found.members(index)])
        rest = [one for i, one in enumerate(found.lattices) if i != index]
        for m in MULTIPLES:
            others = np.flatnonzero(orders % m)
            if others.size == 0:
                continue
            for split, first, second in ((int(others[-1]) + 1, 1, m), (int(others[0]), m, 1)):
                if min(split, member.size - split) < LEAST_RECEPTIONS:
                    continue
                moment = float(member[split])
                before = Lattice(first * lattice.period_s, moment, lattice.jitter_s, 0.1, until_s=moment)
                after = Lattice(second * lattice.period_s, moment, lattice.jitter_s, 0.1, from_s=moment)
                yield [*rest, before, after]


def _handed_over(times_s: Floats, found: Explanation) -> Iterator[list[Lattice]]:
    """A lattice that ends when another, that began later, could have taken its slots."""
    for early in range(len(found.lattices)):
        for late in range(len(found.lattices)):
            start = float(times_s[found.members(late)][0])
            if early == late or start <= float(times_s[found.members(early)][0]):
                continue
            ended = replace(found.lattices[early], until_s=start)
            rest = [one for i, one in enumerate(found.lattices) if i not in (early, late)]
            for divisor in (1, 2, 3):
                heir = found.lattices[late]
                yield [*rest, ended, replace(heir, period_s=heir.period_s / divisor, from_s=start, outage=0.3)]


def _in_two_parts(times_s: Floats, found: Explanation, resolution_s: float) -> Iterator[list[Lattice]]:
    """One application before, another after a moment at which several lattices begin or end amid the receptions."""
    if len(found.lattices) < 2:
        return
    span = float(times_s[-1] - times_s[0])
    early, late = times_s[0] + EDGE * span, times_s[-1] - EDGE * span
    ends = [times_s[found.members(i)][[0, -1]] for i in range(len(found.lattices))]
    moments = {float(first) for first, _ in ends} | {float(np.nextafter(last, np.inf)) for _, last in ends}
    for moment in sorted(moment for moment in moments if early < moment < late)[:MOMENTS]:
        before, after = times_s[times_s < moment], times_s[times_s >= moment]
        if min(before.size, after.size) < 2 * LEAST_RECEPTIONS:
            continue
        first, second = best_lattice(before, resolution_s), best_lattice(after, resolution_s)
        if first is not None and second is not None:
            yield [replace(first.lattices[0], until_s=moment), replace(second.lattices[0], from_s=moment)]


def _joined_halves(times_s: Floats, found: Explanation) -> Iterator[list[Lattice]]:
    """Two lattices of one period, half a period apart, of which one begins later or ends earlier: one application
    whose period halved or doubled. The likelihood is the same either way; the change is the likelier story."""
    for one, first in enumerate(found.lattices):
        for other, second in enumerate(found.lattices):
            mine, its = times_s[found.members(one)], times_s[found.members(other)]
            apart = abs(float(first.residuals_s(np.array([second.anchor_s + second.period_s / 2]))[0]))
            if one == other or abs(first.period_s / second.period_s - 1) > 0.01 or apart > 0.05 * first.period_s:
                continue
            rest = [lattice for i, lattice in enumerate(found.lattices) if i not in (one, other)]
            margin = 5 * first.period_s
            if its[0] > mine[0] + margin:
                moment = float(its[0])
                half = replace(first, period_s=first.period_s / 2, anchor_s=moment, from_s=moment, outage=0.2)
                yield [*rest, replace(first, until_s=moment), half]
            if its[-1] < mine[-1] - margin:
                moment = float(np.nextafter(its[-1], np.inf))
                half = replace(second, period_s=first.period_s / 2, until_s=moment, outage=0.2)
                yield [*rest, half, replace(first, from_s=moment)]
