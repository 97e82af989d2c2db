"""Statistics of the switches as an app of its own: its requests and their answers never wait in the backhaul's queue.

A switch is asked again only when it has answered the last round, so that a slow one gets fewer questions, not more.
"""

from __future__ import annotations

import time
from typing import Any, Final

from controller.backhaul.policy import policy_of
from controller.backhaul.values import Kind, read_cookie
from controller.office import Office
from controller.sdn_base import (
    DEAD_DISPATCHER,
    MAIN_DISPATCHER,
    App,
    hub,
    ofp_event,
    ofproto_v1_3,
    set_ev_cls,
)

# How often the poller looks whether it is time, or whether to stop.
LOOK_S: Final = 0.2
# A round that is not answered after this long is given up.
PATIENCE_S: Final = 30.0


class StatisticsApp(App):  # type: ignore[misc]
    """Polls flow, meter and port counters of every switch, and those of queues where the policy names some."""

    OFP_VERSIONS = (ofproto_v1_3.OFP_VERSION,)

    def __init__(self, *args: Any, office: Office, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        site = office.allocator.site
        assert site.backhaul is not None
        assert office.backhaul is not None
        self._site = site.name
        self._poll_s = site.backhaul.poll_s
        self._names = {table.dpid: table.name for table in site.backhaul.switch}
        self._uplinks = {table.dpid: table.uplink for table in site.backhaul.switch}
        self._queues = policy_of(site).queues
        self._post = office.backhaul
        self._counters = office.metrics.backhaul
        self._datapaths: dict[Any, Any] = {}
        self._asked: dict[int, tuple[int, float]] = {}

    def start(self) -> None:
        """Called by the app manager: the event loop, and the poller beside it."""
        super().start()
        self.threads.append(hub.spawn(self._poll))

    @set_ev_cls(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER, DEAD_DISPATCHER])
    def _connection(self, event: Any) -> None:
        datapath = event.datapath
        if event.state == MAIN_DISPATCHER and datapath.id in self._names:
            self._datapaths[datapath.id] = datapath
            self._asked.pop(datapath.id, None)
        elif datapath.id in self._datapaths and self._datapaths[datapath.id] is datapath:
            del self._datapaths[datapath.id]
        self._counters.switches.set(len(self._datapaths))

    def _poll(self) -> None:
        next_s = time.monotonic()
        while self.is_active:
            now_s = time.monotonic()
            if now_s >= next_s:
                next_s = now_s + self._poll_s
                for datapath in list(self._datapaths.values()):
                    self._ask(datapath, now_s)
            hub.sleep(LOOK_S)

    def _ask(self, datapath: Any, now_s: float) -> None:
        asked = self._asked.get(datapath.id)
        if asked is not None and now_s - asked[1] < PATIENCE_S:
            return
        parser, ofproto = datapath.ofproto_parser, datapath.ofproto
        last = parser.OFPPortStatsRequest(datapath, 0, ofproto.OFPP_ANY)
        self._asked[datapath.id] = datapath.set_xid(last), now_s
        datapath.send_msg(parser.OFPFlowStatsRequest(datapath, table_id=ofproto.OFPTT_ALL))
        datapath.send_msg(parser.OFPMeterStatsRequest(datapath, meter_id=ofproto.OFPM_ALL))
        if self._queues:
            uplink = self._uplinks[datapath.id]
            datapath.send_msg(parser.OFPQueueStatsRequest(datapath, 0, uplink, ofproto.OFPQ_ALL))
        datapath.send_msg(last)

    @set_ev_cls(ofp_event.EventOFPFlowStatsReply, MAIN_DISPATCHER)
    def _flows(self, event: Any) -> None:
        switch = self._names.get(event.msg.datapath.id, "")
        names = self._post.names
        for entry in event.msg.body:
            known = read_cookie(entry.cookie, self._site)
            if known is None:
                continue
            kind, number = known
            of_port = kind in (Kind.DIAL, Kind.UNKNOWN, Kind.UPLINK)
            gateway = "" if of_port else names.get(number, "")
            key = (switch, kind.name.lower(), str(number) if of_port else "", gateway)
            self._counters.flow(key, (entry.table_id, entry.priority, str(sorted(entry.match.items()))),
                                entry.packet_count, entry.byte_count)  # fmt: skip

    @set_ev_cls(ofp_event.EventOFPMeterStatsReply, MAIN_DISPATCHER)
    def _meters(self, event: Any) -> None:
        switch = self._names.get(event.msg.datapath.id, "")
        for entry in event.msg.body:
            dropped = sum(band.packet_band_count for band in entry.band_stats)
            self._counters.meter(switch, entry.meter_id, self._post.names, dropped)

    @set_ev_cls(ofp_event.EventOFPQueueStatsReply, MAIN_DISPATCHER)
    def _queue(self, event: Any) -> None:
        switch = self._names.get(event.msg.datapath.id, "")
        for entry in event.msg.body:
            self._counters.queue(switch, entry.port_no, entry)

    @set_ev_cls(ofp_event.EventOFPPortStatsReply, MAIN_DISPATCHER)
    def _ports(self, event: Any) -> None:
        datapath = event.msg.datapath
        switch = self._names.get(datapath.id, "")
        for entry in event.msg.body:
            if entry.port_no <= datapath.ofproto.OFPP_MAX:
                self._counters.port(switch, entry.port_no, entry)
        if self._asked.get(datapath.id, (None, 0.0))[0] == event.msg.xid:
            del self._asked[datapath.id]
            self._counters.publish(switch)
