"""Showing something that changes: a live table on a terminal, plain lines elsewhere, nothing when nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

View = TypeVar("View")


@contextmanager
def shown(
    quiet: bool, table: Callable[[View], Any], lines: Callable[[], Callable[[View], None]]
) -> Iterator[Callable[[View], None]]:
    """Yields the function that shows a view. table: makes rich's rendering of it; lines: makes a printer of lines."""
    if quiet:
        yield lambda view: None
    elif sys.stdout.isatty():
        from rich.live import Live

        with Live(refresh_per_second=4, transient=True) as live:
            yield lambda view: live.update(table(view))
    else:
        yield lines()
