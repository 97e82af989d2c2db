"""A switch without a network: takes flow-mods and meter-mods, and says by which ports a packet would leave.

It stands for the real one in tests of what the controller decides. Like the real one it refuses a flow that names a
meter it does not have, deletes flows with their meter, and lets the highest priority win.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from controller.backhaul.codec import flow_of, meter_of
from controller.backhaul.values import Flow, Meter, Plan

Packet = Mapping[str, int | str]


def protocol() -> Any:
    """What a connection to a switch carries: OpenFlow 1.3 and its parser, of the base that AIRSHED_SDN_BASE names.

    Without the base itself: eventlet would warn of every process that a test starts.
    """
    package = {"os-ken": "os_ken", "ryu": "ryu"}[os.environ.get("AIRSHED_SDN_BASE", "os-ken")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of distutils, that Ryu uses
        parser = import_module(f"{package}.ofproto.ofproto_v1_3_parser")
        return SimpleNamespace(ofproto=import_module(f"{package}.ofproto.ofproto_v1_3"), ofproto_parser=parser)


class Refused(Exception):
    """The switch would answer with an error message."""


class FakeSwitch:
    """Tables of OpenFlow 1.3 and nothing else."""

    def __init__(self) -> None:
        self._flows: dict[tuple[int, int, Any], Flow] = {}
        self._meters: dict[int, Meter] = {}

    @property
    def holds(self) -> Plan:
        """All flows and meters."""
        return Plan(frozenset(self._flows.values()), frozenset(self._meters.values()))

    def receive(self, message: Any) -> None:
        """Carry out one message as it would be parsed from the wire; Refused when it is wrong."""
        ofproto = message.datapath.ofproto
        if hasattr(message, "table_id"):
            self._flow_mod(flow_of(message), message.command, ofproto)
        else:
            self._meter_mod(meter_of(message), message.command, ofproto)

    def _flow_mod(self, flow: Flow, command: int, ofproto: Any) -> None:
        if command == ofproto.OFPFC_DELETE_STRICT:
            self._flows.pop(flow.key, None)
        elif command == ofproto.OFPFC_ADD:
            if flow.meter and flow.meter not in self._meters:
                raise Refused(f"meter {flow.meter} is unknown")
            if flow.goto is not None and flow.goto <= flow.table:
                raise Refused(f"table {flow.goto} is not after {flow.table}")
            self._flows[flow.key] = flow
        else:
            raise Refused(f"flow-mod command {command}")

    def _meter_mod(self, meter: Meter, command: int, ofproto: Any) -> None:
        if (command == ofproto.OFPMC_ADD) == (meter.meter_id in self._meters):
            raise Refused(f"meter {meter.meter_id} is {'there already' if command == ofproto.OFPMC_ADD else 'unknown'}")
        if command == ofproto.OFPMC_DELETE:
            del self._meters[meter.meter_id]
            self._flows = {key: flow for key, flow in self._flows.items() if flow.meter != meter.meter_id}
        else:
            self._meters[meter.meter_id] = meter

    def path(self, in_port: int, packet: Packet) -> tuple[Flow, ...]:
        """The flow entries a packet meets, in order."""
        fields = {**packet, "in_port": in_port}
        met: list[Flow] = []
        table: int | None = 0
        while table is not None:
            fitting = [
                flow for flow in self._flows.values()
                if flow.table == table and all(fields.get(name) == value for name, value in flow.match)
            ]  # fmt: skip
            if not fitting:
                break
            met.append(max(fitting, key=lambda flow: flow.priority))
            table = met[-1].goto
        return tuple(met)

    def leaves_by(self, in_port: int, packet: Packet) -> frozenset[int]:
        """The ports by which a packet leaves; never the one it came by (OpenFlow 1.3, section 4.5)."""
        return frozenset(port for flow in self.path(in_port, packet) for port in flow.outputs) - {in_port}

    def meters(self, in_port: int, packet: Packet) -> frozenset[int]:
        """The meters a packet passes."""
        return frozenset(flow.meter for flow in self.path(in_port, packet) if flow.meter)

    def queue(self, in_port: int, packet: Packet) -> int | None:
        """The queue that a packet leaves by, None for its ports' default."""
        named = [flow.queue for flow in self.path(in_port, packet) if flow.queue is not None]
        return named[-1] if named else None
