"""Random streams for compiled kernels: splitmix64 with one key per run, device or frame.

A key and a number of draws fix every value, so results do not depend on how time is cut into slices or on how many
workers share a sweep. Mixing function: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 2.0**-53


@njit(cache=True, inline="always")
def mix(value: np.uint64) -> np.uint64:
    """64 well mixed bits of a 64-bit value."""
    value = (value ^ (value >> _S30)) * _FIRST
    value = (value ^ (value >> _S27)) * _SECOND
    return value ^ (value >> _S31)


@njit(cache=True, inline="always")
def key_of(key: np.uint64, index: int) -> np.uint64:
    """Key of the `index`-th child stream of `key`."""
    return mix(key + np.uint64(index + 1) * GAMMA)


@njit(cache=True, inline="always")
def unit(bits: np.uint64) -> float:
    """Uniform on [0, 1) from 64 bits."""
    return np.int64(bits >> _S11) * _UNIT


@njit(cache=True, inline="always")
def draw(key: np.uint64, index: int) -> float:
    """The `index`-th uniform on [0, 1) of a stream."""
    return unit(key_of(key, index))


@njit(cache=True, inline="always")
def exponential(bits: np.uint64) -> float:
    """Exponential of mean 1 from 64 bits; never infinite."""
    return -math.log((np.int64(bits >> _S11) + 1) * _UNIT)


def root_key(seed: int, *path: int) -> np.uint64:
    """Key of a named stream under a seed: `path` are small numbers such as a purpose and a run."""
    value = np.random.SeedSequence([seed, *path]).generate_state(1, np.uint64)[0]
    return np.uint64(value)
