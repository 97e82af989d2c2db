"""Subchannels that turn bad under leases: judged with hysteresis, told to the agents that hold leases there.

A subchannel is bad when it was more often busy than not for several looks in a row, and good again only after a longer
quiet: a burst moves nobody, and nobody is moved back and forth. Silence of the sensors changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase
from controller.allocator import Allocator
from controller.gateways import Gateways
from controller.snapshot import Snapshot
from gateway_agent.wire import controller_pb2 as wire
from spectrum.eu868 import Subchannel
from spectrum.status import Lease

# Pr(H1) from which a subchannel counts as bad: busy more often than idle. Back at a quarter it may be good again.
BAD_OCCUPANCY: Final = 0.5
GOOD_OCCUPANCY: Final = 0.25

# Looks in a row, about a second apart: three seconds to turn bad, half a minute to turn good.
BAD_LOOKS: Final = 3
GOOD_LOOKS: Final = 30

# The holders of leases are told this often: of leases given since, and again in case that a message was lost.
WARN_EVERY_S: Final = 10.0

# A lease that ends this soon is not worth moving: one packet's, for example.
SOON_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is thought of one subchannel. looks: how many in a row have spoken for the other verdict."""

    bad: bool = False
    looks: int = 0

    def after(self, occupancy: float) -> Verdict:
        """The verdict after one more look."""
        against = occupancy <= GOOD_OCCUPANCY if self.bad else occupancy >= BAD_OCCUPANCY
        looks = self.looks + 1 if against else 0
        turned = looks >= (GOOD_LOOKS if self.bad else BAD_LOOKS)
        return Verdict(not self.bad) if turned else Verdict(self.bad, looks)


def worth_moving(
    leases: Iterable[Lease], bad: Collection[Subchannel], kinds: Iterable[Sequence[Subchannel]], now_s: float
) -> list[Lease]:
    """Leases on bad subchannels that last, where another subchannel of their kind (LoRa, SigFox) is not bad."""
    movable = {cell for cells in kinds if any(other not in bad for other in cells) for cell in cells}
    return [
        lease
        for lease in leases
        if lease.subchannel in bad and lease.subchannel in movable and lease.end_s > now_s + SOON_S
    ]


class InterferenceWatch:
    """Looks at the snapshot now and then; for the allocator's thread. Raises DatabaseAway."""

    def __init__(self, allocator: Allocator, gateways: Gateways, database: ChannelStatusDatabase) -> None:
        self._allocator = allocator
        self._gateways = gateways
        self._database = database
        self._verdicts: dict[Subchannel, Verdict] = {}
        self._warned_s = 0.0

    @property
    def bad(self) -> frozenset[Subchannel]:
        """Subchannels that are bad now."""
        return frozenset(cell for cell, verdict in self._verdicts.items() if verdict.bad)

    def look(self, now_s: float) -> int:
        """Judge every sensed subchannel, tell what has turned, warn holders of leases; how many were warned."""
        snapshot = self._allocator.snapshot(now_s)
        turned = self._judge(snapshot)
        if turned:
            self._database.append(self._site, "events", [self._event(cell, snapshot, now_s) for cell in turned])
        due = any(self._verdicts[cell].bad for cell in turned) or not 0.0 <= now_s - self._warned_s < WARN_EVERY_S
        if not (due and self.bad - set(snapshot.pinned)):
            return 0
        self._warned_s = now_s
        return self._warn(self._database.leases(self._site, now_s), snapshot, now_s)

    @property
    def _site(self) -> str:
        return self._allocator.site.name

    def _judge(self, snapshot: Snapshot) -> list[Subchannel]:
        """Take one look in; the subchannels whose verdict has turned."""
        if snapshot.sensing != "fresh":
            return []
        turned = []
        for cell, status in sorted(snapshot.by_subchannel.items()):
            former = self._verdicts.get(cell, Verdict())
            self._verdicts[cell] = former.after(status.occupancy)
            if self._verdicts[cell].bad != former.bad:
                turned.append(cell)
        return turned

    def _event(self, cell: Subchannel, snapshot: Snapshot, now_s: float) -> bytes:
        state = "bad" if self._verdicts[cell].bad else "good"
        return records.encode(
            {
                "event": "interference",
                "at_us": str(records.microseconds(now_s)),
                "subchannel": records.subchannel_key(cell),
                "state": state,
                "reason": reason(cell, state, snapshot),
            }
        )

    def _warn(self, leases: Iterable[Lease], snapshot: Snapshot, now_s: float) -> int:
        spectrum = self._allocator.site.spectrum
        attached = set(self._gateways.attached)
        by_gateway: Mapping[str, list[wire.LeaseWarning]] = defaultdict(list)
        # what operators have pinned is used whatever sensing says of it
        bad = self.bad - set(snapshot.pinned)
        for lease in worth_moving(leases, bad, (spectrum.lora, spectrum.sigfox), now_s):
            if lease.gateway in attached:
                warning = wire.LeaseWarning(
                    lease_id=lease.lease_id, reason=reason(lease.subchannel, "bad", snapshot)
                )  # fmt: skip
                by_gateway[lease.gateway].append(warning)
        for gateway, warnings in by_gateway.items():
            self._gateways.send(gateway, wire.ControllerMessage(warnings=warnings))
        return sum(map(len, by_gateway.values()))


def reason(cell: Subchannel, state: str, snapshot: Snapshot) -> str:
    """Why a subchannel is bad or good again, as one line."""
    status = snapshot.by_subchannel.get(cell)
    share = "" if status is None else f": busy {status.occupancy:.0%} of the time"
    return f"{cell.name} has turned {state}{share}"
