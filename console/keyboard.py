"""Single keys from a terminal, without waiting for a line; none where standard input is no terminal."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def keys_pressed() -> Iterator[Callable[[float], str]]:
    """Yields a function that waits up to some seconds for a key and returns it, empty when none came.

    The terminal is as it was when the block ends, however it ends.
    """
    if not sys.stdin.isatty():
        import time

        def no_keys(wait_s: float) -> str:
            time.sleep(wait_s)
            return ""

        yield no_keys
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def next_key(wait_s: float) -> str:
        ready, _, _ = select.select([descriptor], [], [], wait_s)
        return os.read(descriptor, 1).decode(errors="replace") if ready else ""

    try:
        tty.setcbreak(descriptor)
        yield next_key
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
