"""Uplink reports that outlive their agent: those of a run that ended while the controller was away."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from google.protobuf.message import DecodeError

from channel_status.protocol import ChannelStatusDatabase, DatabaseAway
from gateway_agent.wire import controller_pb2 as wire

log = logging.getLogger(__name__)

# The kind of record in the database; one record a gateway, an AgentMessage with nothing but uplinks.
KIND: Final = "kept-uplinks"


class KeptReports:
    """The reports of one gateway, in the site's database."""

    def __init__(self, database: ChannelStatusDatabase, site: str, gateway: str) -> None:
        self._database = database
        self._site = site
        self._gateway = gateway

    def put(self, uplinks: Sequence[wire.Uplink]) -> bool:
        """Keep them; False when the database is away."""
        record = wire.AgentMessage(uplinks=uplinks).SerializeToString()
        try:
            self._database.put(self._site, KIND, {self._gateway: record})
        except DatabaseAway as error:
            log.warning("uplink reports are not kept: %s", error)
            return False
        return True

    def take(self) -> list[wire.Uplink]:
        """What the last run has left, which is then no longer kept; raises DatabaseAway."""
        record = self._database.get_some(self._site, KIND, [self._gateway]).get(self._gateway)
        if not record:
            return []
        try:
            left = list(wire.AgentMessage.FromString(record).uplinks)
        except DecodeError as error:
            log.warning("the uplink reports of the last run cannot be read: %s", error)
            left = []
        self._database.delete(self._site, KIND, [self._gateway])
        return left
