"""The largest number of frames on the air in any symbol of a reference frame (paper C, section 3).

Time is cut into symbols of the reference frame. K_j frames, Poisson of mean lambda_K, start in symbol j, and a frame
started in symbol j is on the air in n_int + 1 symbols. Symbol i of the reference frame meets S_i = K_i + ... +
K_(i + n_int) frames; the reference frame has n_ref symbols, so n_int + n_ref symbols matter. S_max = max S_i.

Printed: S_(i+1) = S_i - K_i + K_(i + n_int). Computed: S_(i+1) = S_i - K_i + K_(i + n_int + 1), for (C.3) sums
n_int + 1 symbols.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import comb as choose
from scipy.special import gammaln, pdtr, pdtrc, xlogy

from planning.models.airtimes import Floats
from spectrum.errors import BadInput

# States of the dynamic programme over recent arrivals; beyond, draw instead.
MOST_STATES: Final = 60_000
# Below this probability of exceeding in one symbol, exceeding in any of a few hundred is beyond what is reported.
_NEGLIGIBLE: Final = 1e-15


def _poisson(count: npt.NDArray[np.int64], mean: Floats | float) -> Floats:
    """Poisson probabilities, 0 for negative counts; scipy.stats has them too, but takes longer to import."""
    at = np.maximum(count, 0)
    return np.asarray(np.where(count >= 0, np.exp(xlogy(at, mean) - mean - gammaln(at + 1.0)), 0.0))


def _binomial(count: npt.NDArray[np.int64], among: int, probability: float) -> Floats:
    """Binomial probabilities, 0 outside 0..among."""
    at = np.clip(count, 0, among)
    values = choose(among, at) * probability**at * (1.0 - probability) ** (among - at)
    return np.asarray(np.where((count >= 0) & (count <= among), values, 0.0))


def first_symbol_cdf(rate: npt.ArrayLike, n_int: int, largest: int) -> Floats:
    """P(S_1 <= largest): Poisson of mean rate (n_int + 1); rate = lambda_K per symbol, shape (...)."""
    return np.asarray(pdtr(largest, np.asarray(rate, dtype=float) * (n_int + 1)))


def whole_frame_cdf(rate: npt.ArrayLike, n_int: int, n_ref: int, largest: int) -> Floats:
    """P(F <= largest), F all frames that touch the reference frame: what is used when symbols are not looked at."""
    return np.asarray(pdtr(largest, np.asarray(rate, dtype=float) * (n_int + n_ref)))


def next_symbol_cdf(rate: float, n_int: int, now: int, largest: int) -> float:
    """P(S_2 <= largest | S_1 = now).

    Printed (C.5): a sum over s_i. Computed: the sum over k of those that end, each with probability 1 / (n_int + 1):
    sum_k Binomial(k; now, 1 / (n_int + 1)) PoissonCDF(largest - now + k).
    """
    ended = np.arange(now + 1)
    started = largest - now + ended
    return float(
        (
            _binomial(ended, now, 1.0 / (n_int + 1)) * np.where(started >= 0, pdtr(np.maximum(started, 0), rate), 0.0)
        ).sum()
    )


def approximate_cdf(rate: npt.ArrayLike, n_int: int, n_ref: int, largest: int) -> Floats:
    """P(S_max <= largest) ~ P(S_1 <= x) P(S_2 <= x | S_1 <= x)^(n_ref - 1), shape of rate.

    Printed (C.6): Pr(S_max = x) ~ Pr(S_1 = x) Pr(S_2 <= s | S_1 = s)^n_ref, which sums to less than one; so does the
    heuristic for lambda_K near 1. Computed instead: the mended chain of cumulative probabilities, exact at x = 0, poor
    when lambda_K n_int is well above 1.
    """
    rates = np.asarray(rate, dtype=float)
    result = np.ones(rates.shape)
    relevant = pdtrc(largest, rates * (n_int + 1)) > _NEGLIGIBLE
    at = rates[relevant][..., np.newaxis]
    if at.size:
        staying = np.arange(largest + 1)
        common = _poisson(staying, at * n_int)
        both = (common * pdtr(largest - staying, at) ** 2).sum(axis=-1)
        first = pdtr(largest, at[..., 0] * (n_int + 1))
        result[relevant] = first * np.minimum(both / np.where(first > 0.0, first, 1.0), 1.0) ** (n_ref - 1)
    return result


def exact_cdf(rate: float, n_int: int, n_ref: int, largest: int) -> float:
    """P(S_max <= largest), exact, by dynamic programming.

    Raises BadInput when the reference frame is longer than an interfering one by so much that the programme over the
    ages of recent arrivals has too many states: use `simulated_cdf`.
    """
    if largest < 0:
        return 0.0
    if n_ref <= n_int + 2:
        return _cdf_of_short_reference(rate, n_int, n_ref, largest)
    states = comb(n_int + 1 + largest, largest)
    if states > MOST_STATES:
        raise BadInput(f"{states} states are more than the {MOST_STATES} that are solved exactly: simulate instead")
    return _cdf_by_ages(rate, n_int, n_ref, largest)


def _cdf_of_short_reference(rate: float, n_int: int, n_ref: int, largest: int) -> float:
    """The reference frame is no longer than an interfering one: no frame both starts and ends inside it.

    State: (frames that were on the air in symbol 1 and still are, frames started since). Each of the former started in
    one of the symbols that are left, all alike, so the next symbol takes a binomial share of them away.
    """
    old = np.arange(largest + 1)
    allowed = old[:, np.newaxis] + old <= largest
    share = np.zeros((largest + 1, largest + 1))
    share[:, 0] = _poisson(old, rate * (n_int + 1))
    starting = np.array([_poisson(old - before, rate) for before in old])
    for step in range(n_ref - 1):
        ending = np.array([_binomial(before - old, int(before), 1.0 / (n_int + 1 - step)) for before in old])
        share = np.where(allowed, ending.T @ share @ starting, 0.0)
    return float(share.sum())


def _cdf_by_ages(rate: float, n_int: int, n_ref: int, largest: int) -> float:
    """State: how many frames started in each of the last n_int + 1 symbols, at most `largest` together."""
    width = n_int + 1
    # Stars and bars: all count vectors of `width` symbols with a sum of at most `largest`.
    bars = np.array(list(combinations(range(width + largest), width)), dtype=np.int64)
    counts = np.diff(bars, axis=1, prepend=-1) - 1
    place = {row.tobytes(): index for index, row in enumerate(counts)}
    share = _poisson(counts, rate).prod(axis=1)
    shifted = np.hstack([counts[:, 1:], np.zeros((len(counts), 1), dtype=np.int64)])
    room = largest - shifted.sum(axis=1)
    moves = []
    for started in range(largest + 1):
        fits = np.flatnonzero(room >= started)
        target = shifted[fits].copy()
        target[:, -1] = started
        moves.append(
            (fits, np.array([place[row.tobytes()] for row in target]), float(_poisson(np.array(started), rate)))
        )
    for _ in range(n_ref - 1):
        after = np.zeros_like(share)
        for source, target, probability in moves:
            after += np.bincount(target, weights=share[source], minlength=share.size) * probability
        share = after
    return float(share.sum())


def simulated_largest(
    rate: float, n_int: int, n_ref: int, rng: np.random.Generator, trials: int = 20_000
) -> npt.NDArray[np.int64]:
    """S_max of `trials` reference frames, shape (trials,)."""
    largest = np.empty(trials, dtype=np.int64)
    block = max(1, 4_000_000 // (n_int + n_ref))
    for begin in range(0, trials, block):
        rows = min(block, trials - begin)
        starts = rng.poisson(rate, (rows, n_int + n_ref))
        total = np.concatenate([np.zeros((rows, 1), dtype=np.int64), np.cumsum(starts, axis=1)], axis=1)
        largest[begin : begin + rows] = (total[:, n_int + 1 :] - total[:, : -n_int - 1]).max(axis=1)
    return largest
