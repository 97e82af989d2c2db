"""What to send to a switch so that it holds what it should: the difference, in an order that never opens a gap."""

from __future__ import annotations

from dataclasses import dataclass

from controller.backhaul.values import Flow, Meter, Plan


@dataclass(frozen=True, slots=True)
class AddMeter:
    """A meter the switch lacks."""

    meter: Meter


@dataclass(frozen=True, slots=True)
class ChangeMeter:
    """A meter with another rate."""

    meter: Meter


@dataclass(frozen=True, slots=True)
class DropMeter:
    """A meter nobody needs."""

    meter: Meter


@dataclass(frozen=True, slots=True)
class AddFlow:
    """A flow the switch lacks, or holds otherwise: the new one takes the old one's place in one step."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class DropFlow:
    """A flow nobody wants."""

    flow: Flow


Change = AddMeter | ChangeMeter | DropMeter | AddFlow | DropFlow


def difference(wanted: Plan, present: Plan) -> tuple[Change, ...]:
    """Changes in order: meters before the flows that use them, new flows before old ones go, highest priority first."""
    held = {meter.meter_id: meter for meter in present.meters}
    needed = {meter.meter_id for meter in wanted.meters}
    changes: list[Change] = []
    for meter in sorted(wanted.meters - present.meters, key=lambda meter: meter.meter_id):
        changes.append(ChangeMeter(meter) if meter.meter_id in held else AddMeter(meter))
    changes += [AddFlow(flow) for flow in sorted(wanted.flows - present.flows, key=_downstream_first)]
    keys = {flow.key for flow in wanted.flows}
    gone = [flow for flow in present.flows if flow.key not in keys]
    changes += [DropFlow(flow) for flow in sorted(gone, key=_downstream_first)]
    changes += [DropMeter(held[meter_id]) for meter_id in sorted(held.keys() - needed)]
    return tuple(changes)


def _downstream_first(flow: Flow) -> tuple[int, int, str]:
    return -flow.table, -flow.priority, repr(flow.match)


def after(present: Plan, changes: tuple[Change, ...]) -> Plan:
    """What a switch that held `present` holds after `changes`."""
    flows = {flow.key: flow for flow in present.flows}
    meters = {meter.meter_id: meter for meter in present.meters}
    for change in changes:
        if isinstance(change, AddFlow):
            flows[change.flow.key] = change.flow
        elif isinstance(change, DropFlow):
            flows.pop(change.flow.key, None)
        elif isinstance(change, DropMeter):
            meters.pop(change.meter.meter_id, None)
        else:
            meters[change.meter.meter_id] = change.meter
    return Plan(frozenset(flows.values()), frozenset(meters.values()))
