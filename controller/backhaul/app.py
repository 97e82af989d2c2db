"""The backhaul as an app on os-ken or Ryu: tells the state what happened, and does what follows."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from channel_status import records
from channel_status.protocol import DatabaseAway
from controller.backhaul.codec import flows_of, message, meters_of
from controller.backhaul.effects import Cut, Effect, HangUp, Mended, Send, Tell
from controller.backhaul.policy import fixed_hosts, policy_of
from controller.backhaul.post import Closed, Ended, Item, Post, Registered
from controller.backhaul.state import Backhaul
from controller.backhaul.values import Place, Plan
from controller.office import Office
from controller.sdn_base import (
    DEAD_DISPATCHER,
    MAIN_DISPATCHER,
    App,
    EventBase,
    arp,
    hub,
    ipv4,
    ofp_event,
    ofproto_v1_3,
    packet,
    select,
    set_ev_cls,
)

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
# After a switch refused something, what it holds is read again, at most this often.
REREAD_S: Final = 5.0


class EventPosted(EventBase):  # type: ignore[misc]
    """What came through the post, or nothing for a tick of the clock."""

    def __init__(self, items: list[Item]) -> None:
        super().__init__()
        self.items = items


@dataclass(slots=True)
class _Reading:
    """What a switch tells of itself until the barrier `barrier_xid` is answered."""

    flow_xid: int
    meter_xid: int
    port_xid: int
    barrier_xid: int
    flows: list[Any] = field(default_factory=list)
    meters: list[Any] = field(default_factory=list)
    ports: list[Any] = field(default_factory=list)


class BackhaulApp(App):  # type: ignore[misc]
    """Owns the state; its event loop is the only thread that touches it."""

    OFP_VERSIONS = (ofproto_v1_3.OFP_VERSION,)

    def __init__(self, *args: Any, office: Office, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        site = office.allocator.site
        assert site.backhaul is not None
        assert office.backhaul is not None
        self._office = office
        self._post: Post = office.backhaul
        self._policy = policy_of(site)
        self._uplinks = {table.dpid: table.uplink for table in site.backhaul.switch}
        self._state = Backhaul(self._policy, site.backhaul.switch, site.controller.hold_s, fixed_hosts(site))
        self._datapaths: dict[Any, Any] = {}
        self._readings: dict[int, _Reading] = {}
        self._reread_s: dict[int, float] = {}
        # The database may take its time; events and leases wait for it here, and not the switches.
        self._clerk = ThreadPoolExecutor(1, "backhaul")

    def start(self) -> None:
        """Called by the app manager: the event loop, and the one who waits for the post."""
        super().start()
        self.threads.append(hub.spawn(self._wait_for_post))

    def stop(self) -> None:
        """Called by the app manager at the end. Switches keep what they hold."""
        self.is_active = False
        self._post.put(Closed())
        super().stop()
        self._clerk.shutdown()

    def _wait_for_post(self) -> None:
        while self.is_active:
            select.select([self._post.fd], [], [], TICK_S)
            self.send_event(self.name, EventPosted(self._post.take()))

    @set_ev_cls(EventPosted)
    def _posted(self, event: EventPosted) -> None:
        now_s = self._office.clock()
        for item in event.items:
            if isinstance(item, Registered):
                self._do(self._state.registered(item.gateway, item.ip, now_s))
            elif isinstance(item, Ended):
                self._do(self._state.ended(item.gateway, now_s))
        self._do(self._state.tick(now_s))
        self._post.names = {known.number: known.gateway for known in self._state.registrations}

    @set_ev_cls(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER, DEAD_DISPATCHER])
    def _connection(self, event: Any) -> None:
        datapath = event.datapath
        if datapath.id is None:
            return  # it left before it said who it is
        if event.state == MAIN_DISPATCHER:
            self._datapaths[datapath.id] = datapath
            self._read(datapath)
        elif datapath.id in self._datapaths and self._datapaths[datapath.id] is datapath:
            del self._datapaths[datapath.id]
            self._readings.pop(datapath.id, None)
            self._do(self._state.switch_down(datapath.id))

    def _read(self, datapath: Any) -> None:
        """Ask a switch for its ports, and for everything it holds."""
        parser, ofproto = datapath.ofproto_parser, datapath.ofproto
        xids = []
        for request in (
            parser.OFPFlowStatsRequest(datapath, table_id=ofproto.OFPTT_ALL),
            parser.OFPMeterConfigStatsRequest(datapath, meter_id=ofproto.OFPM_ALL),
            parser.OFPPortDescStatsRequest(datapath),
            parser.OFPBarrierRequest(datapath),
        ):
            xids.append(datapath.set_xid(request))
            if len(xids) == 4:
                self._readings[datapath.id] = _Reading(*xids)  # before an answer can come
            datapath.send_msg(request)

    @set_ev_cls(ofp_event.EventOFPFlowStatsReply, MAIN_DISPATCHER)
    def _flows(self, event: Any) -> None:
        self._collect(event.msg, "flow_xid", "flows")

    @set_ev_cls(ofp_event.EventOFPMeterConfigStatsReply, MAIN_DISPATCHER)
    def _meters(self, event: Any) -> None:
        self._collect(event.msg, "meter_xid", "meters")

    @set_ev_cls(ofp_event.EventOFPPortDescStatsReply, MAIN_DISPATCHER)
    def _ports(self, event: Any) -> None:
        self._collect(event.msg, "port_xid", "ports")

    def _collect(self, reply: Any, xid_name: str, kept_in: str) -> None:
        reading = self._readings.get(reply.datapath.id)
        if reading is not None and getattr(reading, xid_name) == reply.xid:
            getattr(reading, kept_in).append(reply)

    @set_ev_cls(ofp_event.EventOFPBarrierReply, MAIN_DISPATCHER)
    def _read_all(self, event: Any) -> None:
        datapath = event.msg.datapath
        reading = self._readings.get(datapath.id)
        if reading is None or reading.barrier_xid != event.msg.xid:
            return
        del self._readings[datapath.id]
        present = Plan(flows_of(reading.flows), meters_of(reading.meters))
        ports = [port for reply in reading.ports for port in reply.body]
        up = frozenset(port.port_no for port in ports if _is_up(datapath.ofproto, port))
        self._do(self._state.switch_up(datapath.id, up, present, self._office.clock()))

        if self._policy.queues and datapath.id in self._uplinks:
            uplink = self._uplinks[datapath.id]
            datapath.send_msg(datapath.ofproto_parser.OFPQueueGetConfigRequest(datapath, uplink))

    @set_ev_cls(ofp_event.EventOFPQueueGetConfigReply, MAIN_DISPATCHER)
    def _queues(self, event: Any) -> None:
        present = frozenset(queue.queue_id for queue in event.msg.queues)
        self._do(self._state.queues(event.msg.datapath.id, present))

    @set_ev_cls(ofp_event.EventOFPPortStatus, MAIN_DISPATCHER)
    def _port(self, event: Any) -> None:
        datapath, port = event.msg.datapath, event.msg.desc
        up = event.msg.reason != datapath.ofproto.OFPPR_DELETE and _is_up(datapath.ofproto, port)
        if port.port_no <= datapath.ofproto.OFPP_MAX:
            self._do(self._state.port(datapath.id, port.port_no, up, self._office.clock()))

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def _packet(self, event: Any) -> None:
        """A packet of an unknown source that dials."""
        place = place_of(event.msg)
        if place is not None:
            self._do(self._state.seen(place, self._office.clock()))

    @set_ev_cls(ofp_event.EventOFPErrorMsg, MAIN_DISPATCHER)
    def _refused(self, event: Any) -> None:
        """A switch refused a change: what it holds is not what we think, so it is asked again."""
        datapath, now_s = event.msg.datapath, self._office.clock()
        if event.msg.type == datapath.ofproto.OFPET_QUEUE_OP_FAILED:
            return  # it has no queues to tell of, which is known by now
        log.warning("switch %s refused a message: type %d code %d", self._state.switch_name(datapath.id),
                    event.msg.type, event.msg.code)  # fmt: skip
        self._office.metrics.backhaul.refused.inc()
        if not 0.0 <= now_s - self._reread_s.get(datapath.id, float("-inf")) < REREAD_S:
            self._reread_s[datapath.id] = now_s
            self._read(datapath)

    def _do(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._send(effect)
            else:
                self._clerk.submit(self._tell, effect, self._office.clock())

    def _send(self, effect: Send) -> None:
        datapath = self._datapaths.get(effect.dpid)
        if datapath is None:
            return  # lost meanwhile; its return brings it up to date
        for change in effect.changes:
            datapath.send_msg(message(datapath, change))

    def _tell(self, effect: Effect, now_s: float) -> None:
        """The parts that wait for the database, in the clerk's thread."""
        office = self._office
        if isinstance(effect, Cut):
            office.gateways.cut(effect.gateway, effect.reason, now_s)
        elif isinstance(effect, Mended):
            office.gateways.mended(effect.gateway, effect.reason, now_s)
        elif isinstance(effect, HangUp):
            self._post.hang_up(effect.gateway)
        elif isinstance(effect, Tell):
            office.metrics.backhaul.events.labels(effect.state).inc()
            log.info("switch %s port %d gateway %s: %s: %s", effect.switch, effect.port, effect.gateway or "-",
                     effect.state, effect.reason)  # fmt: skip
            event = {
                "event": "backhaul", "at_us": str(records.microseconds(now_s)), "state": effect.state,
                "switch": effect.switch, "port": effect.port, "gateway": effect.gateway, "reason": effect.reason,
            }  # fmt: skip
            try:
                office.allocator.tell(event)
            except DatabaseAway as error:
                log.warning("the event stream misses that %s on switch %s: %s", effect.state, effect.switch, error)


def _is_up(ofproto: Any, port: Any) -> bool:
    usable = port.port_no <= ofproto.OFPP_MAX
    return usable and not port.config & ofproto.OFPPC_PORT_DOWN and not port.state & ofproto.OFPPS_LINK_DOWN


def place_of(packet_in: Any) -> Place | None:
    """Where a packet came from; None for one that is neither ARP nor IPv4, or torn, or whose port is not told."""
    try:
        port, dpid = packet_in.match["in_port"], packet_in.datapath.id
        parsed = packet.Packet(packet_in.data)
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error):
        # the base's parsers raise whatever a torn packet makes them trip over
        return None
    for layer in parsed.protocols:
        if isinstance(layer, arp.arp):
            return Place(dpid, port, layer.src_mac, layer.src_ip)
        if isinstance(layer, ipv4.ipv4):
            return Place(dpid, port, parsed.protocols[0].src, layer.src)
    return None
