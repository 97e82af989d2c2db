"""Option values that are lists of numbers: `0.3,0.6,1.5`, or `1/3,1/3,1/3` for shares."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import click


class NumberList(click.ParamType[tuple[float, ...]]):
    """Finite numbers split by commas, each a decimal or a fraction, as a tuple of floats."""

    name = "X[,X2..]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """The numbers of the text, or a usage error that shows the word that is none."""
        if isinstance(value, tuple):
            return value
        return tuple(self._number(word.strip(), param, ctx) for word in str(value).split(","))

    def _number(self, word: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(Fraction(word)) if "/" in word else float(word)
        except (ValueError, ZeroDivisionError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"expected numbers split by commas, such as 0.3,0.6 or 1/3,2/3; got {word!r}", param, ctx)
        return number
