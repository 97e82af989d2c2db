"""What became of the reports of a run, phase by phase: counted, never estimated."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from testbed.twin.reception import REASONS
from testbed.twin.scene import Scene

PHASES: Final = ("before", "during", "after", "cleared")


@dataclass(frozen=True, slots=True)
class Borders:
    """When the phases of a run begin, in seconds of the scene; infinite for one that never comes.

    Nothing counts before `warm_s`. An interferer that is there from the start is no change: without one that comes
    later, all is `before`. `cleared` begins when the last of those that came has gone.
    """

    warm_s: float
    change_s: float
    settled_s: float
    cleared_s: float

    def phase_of(self, start_s: float) -> str | None:
        """The phase that a report which starts then belongs to; None while the site warms up."""
        if start_s < self.warm_s:
            return None
        begins_s = (self.cleared_s, self.settled_s, self.change_s)
        return next((name for name, at_s in zip(PHASES[::-1], begins_s, strict=False) if start_s >= at_s), PHASES[0])


def borders_of(scene: Scene) -> Borders:
    """The phases of a scene: set by its file, whatever the run then does."""
    came = [one for one in scene.interferers if one.from_s > 0.0]
    never = float("inf")
    change_s = min((one.from_s for one in came), default=never)
    gone_s = max((never if one.until_s is None else one.until_s for one in came), default=never)
    return Borders(scene.phases.warm_up_s, change_s, change_s + scene.phases.settle_s, gone_s)


@dataclass(frozen=True, slots=True)
class Fate:
    """One report: whose, when, and why it was lost (empty when it was delivered)."""

    device: str
    kind: str
    controlled: bool
    spreading_factor: int | None
    start_s: float
    center_hz: float
    reason: str


@dataclass(slots=True)
class Share:
    """Delivered of sent."""

    sent: int = 0
    delivered: int = 0

    @property
    def ratio(self) -> float | None:
        """None when nothing was sent."""
        return self.delivered / self.sent if self.sent else None

    def as_json(self) -> dict[str, Any]:
        """`sent`, `delivered`, `delivery_ratio`."""
        return {"sent": self.sent, "delivered": self.delivered, "delivery_ratio": self.ratio}


@dataclass(slots=True)
class Tally:
    """All fates of a run, and what else is worth counting."""

    borders: Borders
    fates: list[Fate] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def share(self, phase: str | None = None, *, kind: str | None = None, controlled: bool | None = None) -> Share:
        """Delivered of sent among the reports that match; phase None: all phases, warming up left out."""
        found = Share()
        for fate in self._matching(phase, kind, controlled):
            found.sent += 1
            found.delivered += not fate.reason
        return found

    def _matching(self, phase: str | None, kind: str | None, controlled: bool | None) -> list[Fate]:
        return [
            fate
            for fate in self.fates
            if (at := self.borders.phase_of(fate.start_s)) is not None
            and phase in (None, at)
            and kind in (None, fate.kind)
            and controlled in (None, fate.controlled)
        ]

    def losses(self, phase: str | None = None, *, controlled: bool | None = None) -> dict[str, int]:
        """Lost reports by reason; every reason is there."""
        found = Counter(fate.reason for fate in self._matching(phase, None, controlled) if fate.reason)
        return {reason: found[reason] for reason in REASONS}

    def by_factor(self, phase: str | None = None) -> dict[str, Share]:
        """Per spreading factor, `sigfox` for SigFox."""
        found: dict[str, Share] = {}
        for fate in self._matching(phase, None, None):
            name = "sigfox" if fate.spreading_factor is None else f"SF{fate.spreading_factor}"
            share = found.setdefault(name, Share())
            share.sent += 1
            share.delivered += not fate.reason
        return dict(sorted(found.items(), key=lambda item: (item[0] == "sigfox", len(item[0]), item[0])))

    def as_json(self) -> dict[str, Any]:
        """The whole account, for machines."""
        phases = {}
        for phase in PHASES:
            whole = self.share(phase)
            if whole.sent:
                phases[phase] = {
                    **whole.as_json(),
                    "controlled": self.share(phase, controlled=True).as_json(),
                    "strangers": self.share(phase, controlled=False).as_json(),
                    "lora": self.share(phase, kind="lora").as_json(),
                    "sigfox": self.share(phase, kind="sigfox").as_json(),
                    "losses": self.losses(phase),
                    "controlled_losses": self.losses(phase, controlled=True),
                }
        return {
            **self.share().as_json(),
            "phases": phases,
            "losses": self.losses(),
            "by_spreading_factor": {name: share.as_json() for name, share in self.by_factor().items()},
            "counts": dict(sorted(self.counts.items())),
        }
