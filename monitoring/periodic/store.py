"""Where the watcher's states live between restarts: in memory, or among the records of the Channel Status Database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from channel_status.protocol import ChannelStatusDatabase

# Kind of the records in the database, and states written in one call: a call never holds up the database for long.
KIND: Final = "monitoring"
CHUNK: Final = 1000


class MonitoringStore(Protocol):
    """One compact value per device (watcher.DeviceState.pack)."""

    def save(self, states: Mapping[str, bytes]) -> None:
        """Write these devices' states, each replacing the one before."""

    def load(self) -> Iterator[tuple[str, bytes]]:
        """All devices' states, in no particular order."""

    def delete(self, device: str) -> None:
        """Drop a device; no error when it is not there."""


class MemoryMonitoringStore:
    """Lost with the process; for tests and for a watcher that may learn anew."""

    def __init__(self) -> None:
        self._states: dict[str, bytes] = {}

    def save(self, states: Mapping[str, bytes]) -> None:
        """See MonitoringStore."""
        self._states.update(states)

    def load(self) -> Iterator[tuple[str, bytes]]:
        """See MonitoringStore."""
        yield from list(self._states.items())

    def delete(self, device: str) -> None:
        """See MonitoringStore."""
        self._states.pop(device, None)


class DatabaseMonitoringStore:
    """States as records of a site in the Channel Status Database, Redis or its twin."""

    def __init__(self, database: ChannelStatusDatabase, site: str) -> None:
        self._database = database
        self._site = site

    def save(self, states: Mapping[str, bytes]) -> None:
        """See MonitoringStore."""
        names = list(states)
        for start in range(0, len(names), CHUNK):
            self._database.put(self._site, KIND, {name: states[name] for name in names[start : start + CHUNK]})

    def load(self) -> Iterator[tuple[str, bytes]]:
        """See MonitoringStore."""
        yield from self._database.get(self._site, KIND).items()

    def delete(self, device: str) -> None:
        """See MonitoringStore."""
        self._database.delete(self._site, KIND, [device])
