"""Orders on their way to the script that carries them out: as few bytes as say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from channel_status import records
from channel_status.keys import lease_sets
from channel_status.protocol import LeaseOrder
from spectrum.eu868 import Subchannel


def orders_json(site: str, orders: Sequence[LeaseOrder], keys: list[str]) -> bytes:
    """The orders as `scripts/allocate.lua` reads them; the sets of leases that they look at are added to `keys`.

    Explanations are not among them: inside this JSON they would be escaped here and unescaped there.
    """
    table = _CellTable(site, keys)
    requests = [(order.lease_id, order.device, order.gateway, order.blind, table.tries(order)) for order in orders]
    return records.encode((table.cells, requests))


class _CellTable:
    """What the tries of a call look at, each subchannel once: its name and where its sets stand among the keys."""

    def __init__(self, site: str, keys: list[str]) -> None:
        self._site = site
        self._keys = keys
        self._rows: dict[Subchannel, int] = {}
        self._neighbours: object = None
        self._positions: dict[Subchannel, int] = {}
        self.cells: list[tuple[str, list[int]]] = []

    def tries(self, order: LeaseOrder) -> list[int]:
        """Three numbers for each try: row of its subchannel from 1, start and end in microseconds."""
        if order.neighbours is not self._neighbours:
            self._neighbours, self._rows = order.neighbours, {}
        flat: list[int] = []
        rows = self._rows
        for subchannel, start_s, end_s in order.tries:
            row = rows.get(subchannel) or self._row(subchannel, order.neighbours)
            flat += (row, round(start_s * 1e6), round(end_s * 1e6))
        return flat

    def _row(self, subchannel: Subchannel, neighbours: Mapping[Subchannel, tuple[Subchannel, ...]]) -> int:
        watched = [self._position(cell) for cell in (subchannel, *neighbours.get(subchannel, ()))]
        self.cells.append((records.subchannel_key(subchannel), watched))
        self._rows[subchannel] = len(self.cells)
        return len(self.cells)

    def _position(self, subchannel: Subchannel) -> int:
        """Where the two sets of a subchannel stand among the keys, from 1."""
        position = self._positions.get(subchannel)
        if position is None:
            position = self._positions[subchannel] = len(self._keys) + 1
            self._keys += lease_sets(self._site, subchannel)
        return position
