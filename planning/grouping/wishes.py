"""Which line is served next: a heap of lines by their best newcomer, for both kernels of Algorithm 2.

Both choose the best pair of line and newcomer again and again. Of a line that nobody joined or left the best score can
only fall, as newcomers are placed: so a line is looked at again when it has come to the top with a newcomer who is
gone, and not before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planning.grouping.arithmetic import compiled
from planning.grouping.traffic import IntArray


class Wishes(NamedTuple):
    """The best newcomer of every line, and a heap of the lines that have one, best first.

    score: float64 (G, 3), compared in this order, the larger the better. device, option, pattern: int64 (G,) of the
    newcomer, -1 for none. heap: int64 (G,), lines; size: int64 (1,), how many of them count.
    """

    score: NDArray[np.float64]
    device: IntArray
    option: IntArray
    pattern: IntArray
    heap: IntArray
    size: IntArray


@compiled
def no_wishes(lines: int) -> Wishes:
    nobody = np.full(lines, -1, dtype=np.int64)
    return Wishes(
        np.zeros((lines, 3)), nobody, nobody.copy(), nobody.copy(), nobody.copy(), np.zeros(1, dtype=np.int64)
    )


@compiled
def _before(wishes: Wishes, a: int, b: int) -> bool:
    """Whether line a comes before line b: higher score, then lower device, then lower line."""
    for part in range(3):
        if wishes.score[a, part] != wishes.score[b, part]:
            return bool(wishes.score[a, part] > wishes.score[b, part])
    return (wishes.device[a], a) < (wishes.device[b], b)


@compiled
def _push(wishes: Wishes, line: int) -> None:
    """Put `line`, which has a wish, into the heap."""
    heap, place = wishes.heap, wishes.size[0]
    wishes.size[0] += 1
    while place > 0:
        above = (place - 1) // 2
        if not _before(wishes, line, heap[above]):
            break
        heap[place] = heap[above]
        place = above
    heap[place] = line


@compiled
def pop(wishes: Wishes) -> int:
    """Take the best line out of the heap, -1 when there is none."""
    heap = wishes.heap
    if wishes.size[0] == 0:
        return -1
    top = heap[0]
    wishes.size[0] -= 1
    size, line, place = wishes.size[0], heap[wishes.size[0]], 0
    while 2 * place + 1 < size:
        below = 2 * place + 1
        if below + 1 < size and _before(wishes, heap[below + 1], heap[below]):
            below += 1
        if not _before(wishes, heap[below], line):
            break
        heap[place] = heap[below]
        place = below
    heap[place] = line
    return int(top)


@compiled
def wish(wishes: Wishes, line: int, score: tuple[float, float, float], newcomer: tuple[int, int, int]) -> None:
    """Note the best newcomer (device, option, pattern) of `line`; one who is nobody (-1) keeps it off the heap."""
    wishes.score[line, 0], wishes.score[line, 1], wishes.score[line, 2] = score
    wishes.device[line], wishes.option[line], wishes.pattern[line] = newcomer
    if newcomer[0] >= 0:
        _push(wishes, line)
