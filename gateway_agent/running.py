"""The parts of `airshed agent` for real gateways and endpoints, put together from a site file."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from random import Random
from typing import Any, Final

from channel_status import records
from channel_status.opening import open_database
from gateway_agent.advisory import chirpstack_region, site_advice
from gateway_agent.capture import Capture
from gateway_agent.controller_link import ControllerLink
from gateway_agent.gateway_door import GatewayDoor, host_and_port
from gateway_agent.health import Health, HealthServer, judge
from gateway_agent.kept_reports import KeptReports
from gateway_agent.lorawan.devices import devices_of
from gateway_agent.lorawan.network import LorawanNetwork
from gateway_agent.lorawan.region_eu868 import DEFAULT_CHANNELS_HZ
from gateway_agent.lorawan.steering import Plan
from gateway_agent.lorawan.store import DatabaseStore
from gateway_agent.lorawan_agent import LorawanAgent, plan_of
from gateway_agent.radio_record import radio_told
from gateway_agent.semtech_server import SemtechServer
from gateway_agent.sigfox_agent import SigfoxAgent
from gateway_agent.wire import controller_pb2 as wire
from spectrum import lora
from spectrum.errors import BadInput, Failed
from spectrum.site_file import GatewayTable, Site

log = logging.getLogger(__name__)

# A controller that is there answers in milliseconds; an advice waits no longer than this for it.
ADVICE_S: Final = 10.0

# Advice is for a device at SF10 with 25 bytes, neither near nor far: only its airtime, for the lease's length.
ADVICE_AIRTIME_S: Final = lora.airtime_s(lora.LoraModulation(10), 25)


def cf_list_of(site: Site) -> tuple[int, ...]:
    """The site's first five channels beyond the defaults, for the join accept."""
    centers_hz = [round(channel.center_hz) for channel in site.spectrum.lora]
    return tuple(center_hz for center_hz in centers_hz if center_hz not in DEFAULT_CHANNELS_HZ)[:5]


def run_lorawan(
    site: Site, gateway: GatewayTable, stop: threading.Event, seconds: float | None, seed: int, capture: str | None
) -> None:
    """Serve a gateway's LoRaWAN devices until `stop`."""
    with ExitStack() as stack:
        devices = devices_of(site.device, gateway.name, gateway.lorawan.keys)
        if not devices:
            raise BadInput(f"gateway {gateway.name} has no LoRaWAN device: add [[device]] tables to the site file")
        door = _door(gateway, capture, stack)
        stack.callback(door.close)
        database = open_database(site)
        stack.callback(database.close)
        store = DatabaseStore(database, site.name)
        on_port_0 = gateway.lorawan.commands_in == "port-0"
        network = LorawanNetwork(devices, store, cf_list_hz=cf_list_of(site), on_port_0=on_port_0, tell=_tell)
        link = ControllerLink(site, gateway.name, rng=Random(seed))
        agent = LorawanAgent(door, network, link, gateway.lorawan, tell=_tell)
        link.on_change = link.on_warning = agent.hear_controller

        def look() -> Health:
            heard_s = door.last_heard_s()
            silent_s = None if heard_s is None else time.monotonic() - heard_s
            state, reasons = judge(link.state, gateway_silent_s=silent_s, has_gateway=True, database_away=store.away)
            counts = Counter(door.counts) + network.counts + agent.counts
            return Health(state, reasons, {**counts, "dropped_uplink_reports": link.dropped_uplinks})

        if gateway.health_listen is not None:
            stack.enter_context(HealthServer(gateway.health_listen, look))

        def radio() -> dict[str, Any]:
            health = look()
            return {
                "at_us": str(records.microseconds(time.time())), "state": health.state, "reasons": health.reasons,
                "downlink": [used.as_json() for used in agent.used],
            }  # fmt: skip

        reports = KeptReports(database, site.name, gateway.name)
        link.keep(reports.take())
        link.start()
        stack.callback(_end_link, link, reports)
        stack.enter_context(radio_told(database, site.name, gateway.name, radio))
        log.info("gateway %s serves %d LoRaWAN devices", gateway.name, len(devices))
        agent.run(stop, seconds)


def _end_link(link: ControllerLink, reports: KeptReports | None) -> None:
    """Say what is left to say; reports that no controller has heard of are kept for the next run, or counted."""
    link.close()
    left = link.undelivered()
    if not left:
        return
    if reports is not None and reports.put(left):
        log.info("%d uplink reports are kept for the next run", len(left))
    else:
        log.warning("%d uplink reports are lost: neither the controller nor the database is there", len(left))


def _door(gateway: GatewayTable, capture: str | None, stack: ExitStack) -> GatewayDoor:
    table = gateway.lorawan
    if gateway.radio == "mqtt":
        from gateway_agent.mqtt import MqttDoor

        if capture is not None:
            raise BadInput("--capture writes Semtech UDP; a gateway over MQTT has none")
        return MqttDoor(gateway.mqtt, tunnel=table.tunnel)
    listen = host_and_port(table.udp_listen, "lorawan.udp_listen", tunnel=table.tunnel)
    allowed = frozenset(bytes.fromhex(eui) for eui in table.gateway_eui)
    if capture is None:
        return SemtechServer(listen, allowed=allowed)
    return SemtechServer(listen, allowed=allowed, capture=stack.enter_context(Capture(capture, time.time)))


def run_sigfox(site: Site, gateway: GatewayTable, stop: threading.Event, seconds: float | None, seed: int) -> None:
    """Serve SigFox endpoints that run the test agent until `stop`."""
    table = gateway.sigfox
    link = ControllerLink(site, gateway.name, rng=Random(seed))
    with ExitStack() as stack:
        agent = SigfoxAgent(host_and_port(table.listen, "sigfox.listen", tunnel=table.tunnel), link)
        stack.callback(agent.close)
        for path in table.serial:
            agent.add_serial(path)

        def look() -> Health:
            state, reasons = judge(link.state, gateway_silent_s=None, has_gateway=False, database_away=False)
            return Health(state, reasons, {**agent.counts, "dropped_uplink_reports": link.dropped_uplinks})

        if gateway.health_listen is not None:
            stack.enter_context(HealthServer(gateway.health_listen, look))
        link.start()
        stack.callback(_end_link, link, None)
        agent.run(stop, seconds)


def _tell(device: str, event: str, detail: str) -> None:
    log.info("device %s: %s", device, event, extra={"device": device, "detail": detail})


def advise(site: Site, gateway: GatewayTable, stop: threading.Event, seed: int) -> tuple[dict[str, Any], str]:
    """Ask the controller for every LoRaWAN device and give the leases back: (advice, ChirpStack's region file)."""
    tables = [t for t in site.device if t.technology == "lora" and t.gateway in (None, gateway.name)]
    if not tables:
        raise BadInput(f"gateway {gateway.name} has no LoRaWAN device: add [[device]] tables to the site file")
    answers = _ask([table.name for table in tables], site, gateway, stop, seed)
    plans: dict[str, tuple[str | None, Plan]] = {}
    refused: dict[str, str] = {}
    for table in tables:
        answer = answers[table.name]
        if answer.leases:
            centers_hz = [lease.subchannel_hz for lease in answer.leases]
            plans[table.name] = (table.dev_eui, plan_of(centers_hz, gateway.lorawan))
        else:
            refused[table.name] = answer.refusal.message
    return site_advice(site.name, plans, refused), chirpstack_region([plan for _, plan in plans.values()], gateway.mqtt)


def _ask(
    names: list[str], site: Site, gateway: GatewayTable, stop: threading.Event, seed: int
) -> Mapping[str, wire.LeaseAnswer]:
    answers: dict[str, wire.LeaseAnswer] = {}
    link = ControllerLink(site, gateway.name, rng=Random(seed))
    link.start()
    try:
        if not link.wait_online(stop, ADVICE_S):
            raise Failed(f"no answer from the controller at {site.controller.listen} within {ADVICE_S:g} s")
        for name in names:
            request = wire.LeaseRequest(
                request_id=f"advice-{name}-{round(time.time() * 1e6)}",
                device=name,
                technology=wire.LORA,
                airtime_us=round(ADVICE_AIRTIME_S * 1e6),
                copies=gateway.lorawan.channels,
            )
            link.request(request, lambda answer, name=name: answers.update({name: answer}), ADVICE_S)  # type: ignore[misc]
        while len(answers) < len(names) and not stop.wait(0.01):
            link.give_up_overdue()
        for answer in answers.values():
            for lease in answer.leases:
                link.release(lease.lease_id, "only advice was asked for")
    finally:
        link.close()
    return answers
