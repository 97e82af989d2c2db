"""os-ken as the base of the controller: the only file that imports it, with what its native hub needs mended.

os-ken 4.2.2 on native threads (its default) never ends the thread that sends to a switch: `hub.kill` does nothing
there, and the datapath waits for that thread for ever, so threads pile up and no DEAD event comes. `mend` wakes the
thread when the switch has gone. Its threads are no daemons either, so that the one that waits for switches would keep
the process alive. And it takes every exception for the word to end (`hub.TaskExit` is Exception), so that the first
handler that fails ends its app, without a line in the log.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Sequence
from typing import Any, Final

from os_ken import cfg
from os_ken.base.app_manager import AppManager
from os_ken.base.app_manager import OSKenApp as App
from os_ken.controller import controller, ofp_event
from os_ken.controller.controller import Datapath
from os_ken.controller.event import EventBase
from os_ken.controller.handler import DEAD_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.lib import hub
from os_ken.lib.packet import arp, ipv4, packet
from os_ken.ofproto import ofproto_parser, ofproto_v1_3

from controller.openflow import OpenFlowListen, configure
from controller.openflow_guard import guarded
from controller.switch_tls import TlsServer

_MENDED: Final = "_airshed_mended"

__all__ = [
    "DEAD_DISPATCHER", "MAIN_DISPATCHER", "App", "EventBase", "arp", "hub", "ipv4", "mend", "ofp_event",
    "ofproto_v1_3", "packet", "run_apps", "select", "set_ev_cls",
]  # fmt: skip


class _TaskExit(BaseException):
    """Nobody ends a native thread by an exception."""


def mend() -> None:
    """Make a datapath's send thread end with its switch, and an app survive its handlers; guard the parser.

    Doing it twice is doing it once.
    """
    if getattr(Datapath, _MENDED, False):
        return
    original = Datapath._recv_loop

    def recv_loop(self: Any) -> None:
        try:
            original(self)
        finally:
            self.close()  # sets the state DEAD, which tells the observers
            self.send(b"", close_socket=True)  # and wakes the thread that waits for something to send

    Datapath._recv_loop = recv_loop
    ofproto_parser.msg = guarded(ofproto_parser.msg)
    setattr(Datapath, _MENDED, True)
    hub.HubThread.daemon = True
    hub.TaskExit = _TaskExit


def _wait(waiting: socket.socket, write: bool, most_s: float | None) -> bool:
    """See controller/switch_tls.py."""
    poll = select.poll()
    poll.register(waiting, select.POLLOUT if write else select.POLLIN)
    return bool(poll.poll(None if most_s is None else 1000.0 * most_s))


def run_apps(
    modules: Sequence[str], context: dict[str, Any], stop: threading.Event, listen: OpenFlowListen | None = None
) -> None:
    """Load the apps in `modules`, give them `context` by keyword, and keep them running until `stop` is set.

    What AppManager.run_apps does, without its `kill` of native threads, which have none. listen: where switches dial
    in, when an app handles OpenFlow.
    """
    mend()
    if listen is not None:
        configure(cfg.CONF, listen)
        if (tls := listen.tls) is not None:
            controller.StreamServer = lambda address, handle, **_: TlsServer(address, handle, tls, _wait, hub.spawn)
    manager = AppManager.get_instance()
    manager.load_apps(list(modules))
    contexts = manager.create_contexts()
    manager.instantiate_apps(**contexts, **context)
    try:
        while not stop.wait(3600.0):
            pass
    finally:
        manager.close()
        AppManager._instance = None
