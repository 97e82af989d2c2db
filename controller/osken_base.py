"""os-ken as the base of the controller: the only file that imports it, with what its native hub needs mended.

os-ken 4.2.2 on native threads (its default) never ends the thread that sends to a switch: `hub.kill` does nothing
there, and the datapath waits for that thread for ever, so threads pile up and no DEAD event comes. `mend` wakes the
thread when the switch has gone.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from os_ken.base.app_manager import AppManager, OSKenApp
from os_ken.controller.controller import Datapath

_MENDED: Final = "_airshed_mended"

__all__ = ["OSKenApp", "mend", "run_app"]


def mend() -> None:
    """Make a datapath's send thread end with its switch. Doing it twice is doing it once."""
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
    setattr(Datapath, _MENDED, True)


def run_app(module: str, context: dict[str, Any], stop: threading.Event) -> None:
    """Load the app in `module`, give it `context` by keyword, and keep it running until `stop` is set.

    What AppManager.run_apps does, without its `kill` of native threads, which have none.
    """
    mend()
    manager = AppManager.get_instance()
    manager.load_apps([module])
    contexts = manager.create_contexts()
    manager.instantiate_apps(**contexts, **context)
    try:
        while not stop.wait(3600.0):
            pass
    finally:
        manager.close()
        AppManager._instance = None
