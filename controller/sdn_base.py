"""The door to the controller's base: os-ken, or Ryu where AIRSHED_SDN_BASE=ryu says so. Apps import only this.

Chosen once, before the first app is imported, because the two define the same names.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from spectrum.errors import BadInput

BASES: Final = ("os-ken", "ryu")
CHOSEN: Final = os.environ.get("AIRSHED_SDN_BASE", "os-ken")

if CHOSEN not in BASES:
    raise BadInput(f"AIRSHED_SDN_BASE: expected one of {', '.join(BASES)}, got {CHOSEN!r}")
if TYPE_CHECKING or CHOSEN == "os-ken":
    from controller.osken_base import (
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
        run_apps,
        select,
        set_ev_cls,
    )
else:
    from controller.ryu_base import (
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
        run_apps,
        select,
        set_ev_cls,
    )

__all__ = [
    "BASES", "CHOSEN", "DEAD_DISPATCHER", "MAIN_DISPATCHER", "App", "EventBase", "arp", "hub", "ipv4", "ofp_event",
    "ofproto_v1_3", "packet", "run_apps", "select", "set_ev_cls",
]  # fmt: skip
