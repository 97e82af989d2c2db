"""What a run of the twin has counted, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.twin.live import LiveSite


def live_summary(site: LiveSite, seconds: float) -> dict[str, Any]:
    """The account of a live site."""
    return {"scene": site.scene.name, "seed": site.scene.seed, "seconds": seconds, **site.twin.tally.as_json()}


def summary_text(found: Mapping[str, Any]) -> str:
    """The account for people."""
    lines = [f"scene {found['scene']}, seed {found['seed']}, {found['seconds']:.0f} s of its air"]
    for name, phase in found["phases"].items():
        lines.append(
            f"{name:<8}   delivery ratio {phase['delivery_ratio']:.3f}: {phase['delivered']} of {phase['sent']}"
        )
    lost = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in found["losses"].items() if count)
    lines.append(f"lost       {lost or 'nothing'}")
    for name, share in found["by_spreading_factor"].items():
        lines.append(
            f"{name:<8}   delivery ratio {share['delivery_ratio']:.3f}: {share['delivered']} of {share['sent']}"
        )
    return "\n".join(lines)
