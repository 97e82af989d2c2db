"""Telling agents that an operator has ended a lease of theirs, wherever the operator said so.

The operators' API of any controller and the console write to the audit; the controller that a gateway is attached to
reads it there and tells the gateway's agent.
"""

from __future__ import annotations

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase
from controller.gateways import Gateways
from controller.operators import AUDIT
from gateway_agent.wire import controller_pb2 as wire


class Evictions:
    """Follows the audit of a site from its first look on; for the allocator's thread. Raises DatabaseAway."""

    def __init__(self, site: str, database: ChannelStatusDatabase, gateways: Gateways) -> None:
        self._site = site
        self._database = database
        self._gateways = gateways
        self._read: str | None = None

    def look(self) -> int:
        """Tell the agents attached here of leases evicted since the last look; how many were told."""
        if self._read is None:
            newest = self._database.read_newest(self._site, AUDIT, count=1)
            self._read = newest[0].entry_id if newest else ""
            return 0
        told, attached = 0, set(self._gateways.attached)
        for entry in self._database.read(self._site, AUDIT, self._read):
            self._read = entry.entry_id
            action = records.decode(entry.value)
            if action["action"] == "evict" and action["before"]["lease"]["gateway"] in attached:
                change = wire.LeaseChange(lease_id=action["subject"])
                self._gateways.send(action["before"]["lease"]["gateway"], wire.ControllerMessage(changes=[change]))
                told += 1
        return told
