"""Uniform draws that depend on nothing but a name: the same on any machine, and cheap to begin."""

from __future__ import annotations

from hashlib import blake2b
from struct import unpack
from typing import Protocol


class Draws(Protocol):
    """What the allocator needs of a source of randomness; `random.Random` is one."""

    def randrange(self, stop: int, /) -> int:
        """An integer drawn uniformly from 0 .. stop - 1."""


class NamedDraws:
    """Draws made from a name: BLAKE2b of the name and a counter, eight 64-bit numbers at a time.

    `number * stop >> 64` favours some values by at most stop / 2^64.
    """

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self._blocks = 0
        self._numbers: list[int] = []

    def randrange(self, stop: int, /) -> int:
        """An integer drawn uniformly from 0 .. stop - 1."""
        if not self._numbers:
            digest = blake2b(self._name, salt=self._blocks.to_bytes(16, "little")).digest()
            self._blocks += 1
            self._numbers = [*reversed(unpack("<8Q", digest))]
        return self._numbers.pop() * stop >> 64
