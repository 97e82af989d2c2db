"""Playing a recording or a scene at the speed of the air: blocks come when their samples would have been received."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from sensing.source import IqBlock, IqSource, SourceContext, Tuning

# A reader that falls behind by this much (it was compiling, or the machine was asleep) has the rest played later: a
# recording loses nothing, and its times stay close to the clock.
LATE_S: Final = 0.5


class PacedSource(SourceContext):
    """A source whose blocks carry wall-clock time and are handed out when they are due.

    clock: seconds since the epoch. wait: sleeps for seconds and returns True when it is time to stop.
    """

    def __init__(self, source: IqSource, clock: Callable[[], float], wait: Callable[[float], Any]) -> None:
        self._source = source
        self._clock = clock
        self._wait = wait

    @property
    def name(self) -> str:
        """The name of the source that is played."""
        return self._source.name

    @property
    def tuning(self) -> Tuning:
        """The tuning of the source that is played."""
        return self._source.tuning

    def blocks(self) -> Iterator[IqBlock]:
        """The source's blocks in time, none left out."""
        rate_hz = self._source.tuning.rate_hz
        started_s = self._clock()
        for block in self._source.blocks():
            due_s = started_s + (block.first_sample + block.count) / rate_hz
            early_s = due_s - self._clock()
            if early_s < -LATE_S:
                started_s -= early_s
            if early_s > 0 and self._wait(early_s):
                return
            begins_s = started_s + block.first_sample / rate_hz
            yield replace(block, time_s=begins_s)

    def close(self) -> None:
        """Close the source that is played."""
        self._source.close()
