"""Child processes that end with the process that started them.

The child asks the kernel itself, in a few lines of Python before the command takes its place. `preexec_fn` would ask
between fork and exec, where a process with gRPC's threads can hang for ever: their locks are copied as they stood.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

# Linux: 1 is PR_SET_PDEATHSIG. The parent may have gone before the call: its number tells.
_PREFACE: Final = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, int(sys.argv[2])); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); os.execvp(sys.argv[3], sys.argv[3:])"
)


def ending_with_parent(command: Sequence[str], by: signal.Signals = signal.SIGTERM) -> list[str]:
    """The command that runs `command` until the thread that starts it ends; then it gets the signal `by`.

    Start it from the main thread: Linux sends the signal when the starting thread ends, not the process. On other
    systems the command itself.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _PREFACE, str(os.getpid()), str(int(by)), *command]
