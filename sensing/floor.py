"""How strong the noise is, estimated from cells that may or may not hold a signal.

A cell is the energy of one subchannel in one sensing interval. Each policy is a pure function from a history of cells
to a floor; docs/sensing.md tables the true Pf that each of them leads to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from spectrum.errors import BadInput

Floats = NDArray[np.float64]

# FCME: cells further above the mean of the quiet ones than noise goes in one cell of a thousand are signals. What the
# cut takes from the mean of noise is given back.
EXCISION_PF: Final = 1e-3
# Share of the lowest cells that FCME starts from: up to 95 % of the cells may hold signals.
START_SHARE: Final = 0.05
FEWEST_START: Final = 3

# A floor this far above the smooth curve through its neighbours is a signal that never pauses: receivers filter
# smoothly, and the recordings at hand ripple by less. With few subchannels there is no curve, only a common level.
STANDS_OUT_DB: Final = 1.5
STANDS_OUT_OF_FEW_DB: Final = 3.0

# Subchannels below which the band has no curve but a level, or a curve without the steep ends of a filter.
FEWEST_FOR_A_CURVE: Final = 5
FEWEST_FOR_STEEP_EDGES: Final = 12

# A common level that rises faster than this from one update to the next is no drift.
SUDDEN_RISE_DB: Final = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What a policy may look at.

    cells: float64, shape (T, C), oldest first, the long window (about 10 s). levels: shape (T,), the common level each
    row was judged with, 1 before there was one. recent: how many of the last rows make the short window (about 0.5 s).
    samples: shape (C,), effective samples of a cell. bandwidth_hz, offset: shape (C,), width of the subchannel and
    its distance from the tuned frequency in halves of the captured band, -1..1.
    """

    cells: Floats
    levels: Floats
    recent: int
    samples: Floats
    bandwidth_hz: Floats
    offset: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Floor:
    """Noise power per subchannel, shape (C,), as shape x level.

    borrowed: bool, shape (C,): taken from the neighbours, since something is always on the air there. held: the level
    is an older one, since the last cells hold no noise that could be told from signals. reshaped_rows: how many rows
    ago the shape was estimated.
    """

    shape: Floats
    level: float
    borrowed: NDArray[np.bool_]
    held: bool = False
    held_rows: int = 0
    reshaped_rows: int = 0

    @property
    def noise(self) -> Floats:
        """Noise power, relative to full scale, shape (C,)."""
        return self.shape * self.level


Policy = Callable[[History, "Floor | None", int], Floor]


def noise_quantile(probability: Floats | float, samples: Floats | float) -> Floats:
    """Energy over noise power that noise alone stays below with this probability (central chi-square)."""
    m = np.asarray(samples, dtype=np.float64)
    return np.asarray(special.gammaincinv(m, probability) / m)


def fcme(cells: Floats, samples: Floats) -> Floats:
    """Forward consecutive mean excision down each column, cells of shape (T, C): mean of the quiet ones, shape (C,).

    From the lowest few cells upwards, the next is taken in while it lies below the excision threshold times the mean
    of those already in. A start spread wider than noise can be (a dropout below it) is passed over.
    """
    count = len(cells)
    if count == 1:
        return np.array(cells[0])
    start_cells = min(count, max(FEWEST_START, int(np.ceil(START_SHARE * count))))
    ordered = np.sort(cells, axis=0)
    widest, limit, kept_of_noise = np.array([_excision(count) for count in samples.tolist()]).T
    tight = ordered[start_cells - 1 :] <= ordered[: count - start_cells + 1] * widest
    start = np.where(tight.any(axis=0), tight.argmax(axis=0), 0)
    below = np.concatenate([np.zeros((1, cells.shape[1])), np.cumsum(ordered, axis=0)])
    rows = np.arange(1, count + 1)[:, None]
    taken = np.maximum(rows - start, 1)
    mean_up_to = (below[1:] - np.take_along_axis(below, start[None, :], axis=0)) / taken
    stops = ordered[1:] > limit * mean_up_to[:-1]
    stops &= rows[:-1] >= start + start_cells
    end = np.where(stops.any(axis=0), stops.argmax(axis=0), count - 1)
    return np.asarray(np.take_along_axis(mean_up_to, end[None, :], axis=0)[0] / kept_of_noise)


@lru_cache(maxsize=1024)
def _excision(samples: float) -> tuple[float, float, float]:
    """For energies of so many samples: the widest spread that a tight start may have (a ratio), the excision threshold
    over the mean, and what the mean of noise keeps when it is cut there."""
    widest = float(noise_quantile(0.95, samples) / noise_quantile(0.001, samples))
    limit = float(noise_quantile(1.0 - EXCISION_PF, samples))
    kept = special.gammainc(samples + 1.0, samples * limit) / special.gammainc(samples, samples * limit)
    return widest, limit, float(kept)


def _plain(noise: Floats) -> Floor:
    return Floor(noise, 1.0, np.zeros(noise.size, dtype=np.bool_))


def median(history: History, last: Floor | None, new_rows: int) -> Floor:
    """The median of each subchannel's own cells. Follows anything that is on more than half of the time."""
    return _plain(np.median(history.cells, axis=0) / noise_quantile(0.5, history.samples))


def minimum(history: History, last: Floor | None, new_rows: int) -> Floor:
    """Minimum statistics: each subchannel's lowest cell over what noise alone would have as its lowest of so many."""
    lowest = noise_quantile(-np.expm1(np.log(0.5) / len(history.cells)), history.samples)
    return _plain(history.cells.min(axis=0) / lowest)


def fcme_each(history: History, last: Floor | None, new_rows: int) -> Floor:
    """FCME of each subchannel's own cells. Never sees what is always on."""
    return _plain(fcme(history.cells, history.samples))


def hybrid(history: History, last: Floor | None, new_rows: int) -> Floor:
    """Per-subchannel FCME shape over the long window times one common FCME level over the short one.

    The shape follows the receiver's filter, the level its drift. A shape that stands out of the smooth curve through
    the band is a signal that never pauses, and is replaced by the curve. Where the short window holds no common level
    that could be noise, the last one is held, for as long as the long window.
    """
    if last is None:
        first = _shape(history)
        level = _common_level(history, first.shape).level
        return Floor(first.shape * level, 1.0, first.borrowed)
    long_rows = len(history.cells)
    reshape_after = min(max(history.recent, 1) * 2, long_rows)
    if last.reshaped_rows + new_rows >= reshape_after:
        fresh = _shape(history)
        shape, borrowed, reshaped_rows = fresh.shape, fresh.borrowed, 0
    else:
        shape, borrowed, reshaped_rows = last.shape, last.borrowed, last.reshaped_rows + new_rows
    found = _common_level(history, shape)
    rise = found.level / last.level
    believable = found.shared and (rise < 10.0 ** (SUDDEN_RISE_DB / 10.0) or found.everywhere)
    held_rows = 0 if believable else last.held_rows + new_rows
    if believable or held_rows >= long_rows:
        return Floor(shape, found.level, borrowed, False, 0, reshaped_rows)
    return Floor(shape, last.level, borrowed, True, held_rows, reshaped_rows)


def _shape(history: History) -> Floor:
    """Noise power of each subchannel at a common level of 1."""
    own = fcme(history.cells / history.levels[:, None], history.samples)
    density_db = 10.0 * np.log10(np.maximum(own / history.bandwidth_hz, 1e-300))
    curve_db = smooth_curve_db(history.offset, density_db, history.bandwidth_hz)
    few = own.size < FEWEST_FOR_A_CURVE
    borrowed = density_db - curve_db > (STANDS_OUT_OF_FEW_DB if few else STANDS_OUT_DB)
    shape = np.where(borrowed, history.bandwidth_hz * 10.0 ** (curve_db / 10.0), own)
    return Floor(shape, 1.0, borrowed)


@dataclass(frozen=True, slots=True)
class _Level:
    level: float
    shared: bool  # several subchannels have cells at this level
    everywhere: bool  # nearly all of the newest cells lie at it: the gain has changed


def _common_level(history: History, shape: Floats) -> _Level:
    relative = history.cells[-history.recent :] / shape
    fewest_samples = np.array([history.samples.min()])
    level = float(fcme(relative.reshape(-1, 1), fewest_samples)[0])
    low, high = noise_quantile(np.array([1e-4, 1.0 - EXCISION_PF]), fewest_samples[0]) * level
    quiet = (relative >= low) & (relative <= high)
    columns = shape.size
    shared = np.count_nonzero(quiet.any(axis=0)) >= min(columns, max(2, columns // 8))
    newest = quiet[-max(1, history.recent // 4) :]
    everywhere = columns >= FEWEST_FOR_A_CURVE and float(np.mean(newest)) > 0.8
    return _Level(level, bool(shared), everywhere)


def smooth_curve_db(offset: Floats, density_db: Floats, bandwidth_hz: Floats) -> Floats:
    """The smooth curve that the quiet subchannels lie on, in dB, shape (C,); those far above it are left out.

    A low-order polynomial in the offset from the tuned frequency, even orders for the roll-off on both sides, in which
    each subchannel weighs as much as it is wide. The highest are left out first, then the fit is repeated; at least
    half of the width stays in.
    """
    columns = offset.size
    if columns < FEWEST_FOR_A_CURVE:
        return np.full(columns, density_db.min())
    powers = [0, 1, 2] if columns < FEWEST_FOR_STEEP_EDGES else [0, 1, 2, 4, 6]
    basis = np.stack([offset**power for power in powers], axis=1)
    weight = np.sqrt(bandwidth_hz)
    inside = np.ones(columns, dtype=np.bool_)
    while True:
        kept = weight[inside]
        orders, *_ = np.linalg.lstsq(basis[inside] * kept[:, None], density_db[inside] * kept, rcond=None)
        curve: Floats = basis @ orders
        above = np.where(inside, density_db - curve, -np.inf)
        worst = int(above.argmax())
        inside[worst] = False
        too_few = np.count_nonzero(inside) < len(powers) or bandwidth_hz[inside].sum() < bandwidth_hz.sum() / 2
        if above[worst] <= STANDS_OUT_DB or too_few:
            return curve


POLICIES: Final[dict[str, Policy]] = {
    "hybrid": hybrid,
    "fcme": fcme_each,
    "median": median,
    "minimum": minimum,
}
DEFAULT_POLICY: Final = "hybrid"


def policy_named(name: str) -> Policy:
    """The policy of that name, or BadInput with those there are."""
    try:
        return POLICIES[name]
    except KeyError:
        raise BadInput(f"unknown floor policy {name!r}: expected one of {', '.join(POLICIES)}") from None
