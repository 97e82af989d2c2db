"""What the parts of a controller work with together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controller.allocator import Allocator
from controller.backhaul.post import Post
from controller.desk import Desk
from controller.evictions import Evictions
from controller.gateways import Gateways
from controller.interference import InterferenceWatch
from controller.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Office:
    """Made once and shared by the app, the gRPC door and the operators' API. `clock`: seconds since the epoch.

    backhaul: the way to the backhaul's app, None where the site has no switches.
    """

    allocator: Allocator
    desk: Desk
    gateways: Gateways
    interference: InterferenceWatch
    evictions: Evictions
    metrics: Metrics
    clock: Callable[[], float]
    backhaul: Post | None = None
