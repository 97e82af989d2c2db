"""What can go wrong, in two kinds: the caller's input, or the work itself.

Every message says in one line what was expected, what came, and what to do about it.
"""

from __future__ import annotations


class AirshedError(Exception):
    """Base of all errors meant for a person; `exit_status` is what a command ends with."""

    exit_status = 1


class BadInput(AirshedError):
    """The input or the usage is wrong and the caller can mend it (exit status 2)."""

    exit_status = 2


class Failed(AirshedError):
    """The input was right, the work failed: a peer died, a disk is full (exit status 1)."""
