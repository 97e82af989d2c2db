"""The random streams of `streams` once more, on plain Python integers."""

from __future__ import annotations

import math
from typing import Final

MASK: Final = 2**64 - 1
GAMMA: Final = 0x9E3779B97F4A7C15


def mix(value: int) -> int:
    """splitmix64's finaliser on Python integers."""
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & MASK
    return value ^ value >> 31


def key_of(key: int, index: int) -> int:
    """Key of a child stream."""
    return mix(key + (index + 1) * GAMMA & MASK)


def unit(bits: int) -> float:
    """Uniform on [0, 1)."""
    return (bits >> 11) * 2.0**-53


def exponential(bits: int) -> float:
    """Exponential of mean 1."""
    return -math.log(((bits >> 11) + 1) * 2.0**-53)


class Stream:
    """Uniforms one after another."""

    def __init__(self, state: int) -> None:
        self.state = state

    def bits(self) -> int:
        """The next 64 bits."""
        self.state = self.state + GAMMA & MASK
        return mix(self.state)
