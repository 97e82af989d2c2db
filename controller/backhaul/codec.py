"""Flows and meters as OpenFlow 1.3 messages, and back. Needs no import: a datapath carries its own parser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from controller.backhaul.difference import AddFlow, AddMeter, Change, ChangeMeter, DropFlow
from controller.backhaul.values import TO_CONTROLLER, Flow, Match, Meter

# Enough of a packet for Ethernet, ARP, IPv4 and TCP headers.
SEEN_BYTES: Final = 96

# Stands in `outputs` for an instruction or action that is not ours, so that the flow is never taken for one of ours.
FOREIGN: Final = -1


def message(datapath: Any, change: Change) -> Any:
    """The message that carries out a change."""
    ofproto, parser = datapath.ofproto, datapath.ofproto_parser
    if isinstance(change, AddFlow):
        return _flow_mod(datapath, change.flow, ofproto.OFPFC_ADD, _instructions(datapath, change.flow))
    if isinstance(change, DropFlow):
        return _flow_mod(datapath, change.flow, ofproto.OFPFC_DELETE_STRICT, [])
    meter = change.meter
    flags = ofproto.OFPMF_KBPS | ofproto.OFPMF_BURST | ofproto.OFPMF_STATS
    bands = [parser.OFPMeterBandDrop(rate=meter.kbit_s, burst_size=meter.burst_kbit)]
    if isinstance(change, AddMeter):
        command = ofproto.OFPMC_ADD
    elif isinstance(change, ChangeMeter):
        command = ofproto.OFPMC_MODIFY
    else:
        command, bands = ofproto.OFPMC_DELETE, []
    return parser.OFPMeterMod(datapath, command=command, flags=flags, meter_id=meter.meter_id, bands=bands)


def _flow_mod(datapath: Any, flow: Flow, command: int, instructions: list[Any]) -> Any:
    ofproto, parser = datapath.ofproto, datapath.ofproto_parser
    return parser.OFPFlowMod(
        datapath, cookie=flow.cookie, table_id=flow.table, command=command, priority=flow.priority,
        out_port=ofproto.OFPP_ANY, out_group=ofproto.OFPG_ANY, match=parser.OFPMatch(**dict(flow.match)),
        instructions=instructions,
    )  # fmt: skip


def _instructions(datapath: Any, flow: Flow) -> list[Any]:
    ofproto, parser = datapath.ofproto, datapath.ofproto_parser
    instructions = [parser.OFPInstructionMeter(flow.meter)] if flow.meter else []
    if flow.outputs:
        actions = [] if flow.queue is None else [parser.OFPActionSetQueue(flow.queue)]
        actions += [parser.OFPActionOutput(port, SEEN_BYTES if port == TO_CONTROLLER else 0) for port in flow.outputs]
        instructions.append(parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, actions))
    if flow.goto is not None:
        instructions.append(parser.OFPInstructionGotoTable(flow.goto))
    return instructions


def flow_of(entry: Any) -> Flow:
    """The flow of a flow-mod, or of one entry of a flow statistics reply."""
    meter, outputs, goto, queue = 0, [], None, None
    for instruction in entry.instructions:
        if hasattr(instruction, "meter_id"):
            meter = instruction.meter_id
        elif hasattr(instruction, "actions"):
            for action in instruction.actions:
                if hasattr(action, "queue_id"):
                    queue = action.queue_id
                else:
                    outputs.append(getattr(action, "port", FOREIGN))
        else:
            goto = getattr(instruction, "table_id", FOREIGN)
    match: Match = tuple(sorted(entry.match.items()))
    return Flow(entry.table_id, entry.priority, match, entry.cookie, meter, tuple(outputs), goto, queue)


def meter_of(entry: Any) -> Meter:
    """The meter of a meter-mod, or of one entry of a meter configuration reply."""
    band = entry.bands[0] if entry.bands else None
    rate, burst = (band.rate, band.burst_size) if band is not None else (0, 0)
    return Meter(entry.meter_id, rate, burst)


def flows_of(replies: Iterable[Any]) -> frozenset[Flow]:
    """All flows of flow statistics replies."""
    return frozenset(flow_of(entry) for reply in replies for entry in reply.body)


def meters_of(replies: Iterable[Any]) -> frozenset[Meter]:
    """All meters of meter configuration replies."""
    return frozenset(meter_of(entry) for reply in replies for entry in reply.body)
