"""Where the watcher's states live between restarts: in memory, or among the records of the Channel Status Database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from channel_status.protocol import ChannelStatusDatabase

# Kind of the records in the database, and states written in one call: a call never holds up the database for long.
KIND: Final = "monitoring"
CHUNK: Final = 1000
# Names of the records: a device called `place` is no place in a stream.
DEVICE: Final = "device:"
PLACE: Final = "place"


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
        for chunk in chunks(states):
            self._database.put(self._site, KIND, {DEVICE + name: state for name, state in chunk.items()})

    def save_with_place(self, states: Mapping[str, bytes], place: str) -> None:
        """Save, and note up to where in a stream these states have counted; in one call for up to CHUNK devices."""
        for chunk in chunks(states):
            values = {DEVICE + name: state for name, state in chunk.items()}
            self._database.put(self._site, KIND, values | {PLACE: place.encode()})

    def place(self) -> str:
        """What was noted last, empty at the beginning."""
        return self._database.get(self._site, KIND).get(PLACE, b"").decode()

    def load(self) -> Iterator[tuple[str, bytes]]:
        """See MonitoringStore."""
        for name, state in self._database.get(self._site, KIND).items():
            if name.startswith(DEVICE):
                yield name.removeprefix(DEVICE), state

    def delete(self, device: str) -> None:
        """See MonitoringStore."""
        self._database.delete(self._site, KIND, [DEVICE + device])


def chunks(states: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
    """The same records in parts of at most CHUNK."""
    names = list(states)
    for start in range(0, len(names), CHUNK):
        yield {name: states[name] for name in names[start : start + CHUNK]}
