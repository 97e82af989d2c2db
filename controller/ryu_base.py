"""Ryu 4.34 as the base of the controller: the only file that imports it or eventlet.

Nothing is monkey-patched: Ryu's own connections are green by themselves, and the threads of gRPC, of the allocator and
of the database stay real ones. What they have for an app comes through a pipe (controller/backhaul/post.py).
"""

from __future__ import annotations

import socket
import threading
import warnings
from collections.abc import Sequence
from typing import Any, Final

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # eventlet says on import that it is deprecated
    import eventlet.wsgi
    from eventlet.green import select

    if not hasattr(eventlet.wsgi, "ALREADY_HANDLED"):
        eventlet.wsgi.ALREADY_HANDLED = object()  # Ryu imports the name, which eventlet dropped
    from ryu import cfg
    from ryu.base.app_manager import AppManager
    from ryu.base.app_manager import RyuApp as App
    from ryu.controller import controller, ofp_event
    from ryu.controller.event import EventBase
    from ryu.controller.handler import DEAD_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
    from ryu.lib import hub
    from ryu.lib.packet import arp, ipv4, packet
    from ryu.ofproto import ofproto_parser, ofproto_v1_3

from controller.openflow import OpenFlowListen, configure
from controller.openflow_guard import guarded
from controller.switch_tls import TlsServer

__all__ = [
    "DEAD_DISPATCHER", "MAIN_DISPATCHER", "App", "EventBase", "arp", "hub", "ipv4", "ofp_event", "ofproto_v1_3",
    "packet", "run_apps", "select", "set_ev_cls",
]  # fmt: skip

ofproto_parser.msg = guarded(ofproto_parser.msg)

# The main thread runs eventlet's loop; it looks this often whether to stop.
LOOK_S: Final = 0.05


def _wait(waiting: socket.socket, write: bool, most_s: float | None) -> bool:
    """See controller/switch_tls.py."""
    one = [waiting]
    return any(select.select([] if write else one, one if write else [], [], most_s))


def run_apps(
    modules: Sequence[str], context: dict[str, Any], stop: threading.Event, listen: OpenFlowListen | None = None
) -> None:
    """Load the apps in `modules`, give them `context` by keyword, and keep them running until `stop` is set.

    listen: where switches dial in, when an app handles OpenFlow.
    """
    if listen is not None:
        configure(cfg.CONF, listen)
        if (tls := listen.tls) is not None:
            controller.StreamServer = lambda address, handle, **_: TlsServer(address, handle, tls, _wait, hub.spawn)
    manager = AppManager.get_instance()
    manager.load_apps(list(modules))
    contexts = manager.create_contexts()
    manager.instantiate_apps(**contexts, **context)
    try:
        while not stop.is_set():
            hub.sleep(LOOK_S)
    finally:
        manager.close()
        AppManager._instance = None
