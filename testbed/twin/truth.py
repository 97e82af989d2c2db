"""The truth about a recording of the twin: annotations of SigMF in the namespace `airshed`, written and read.

Edges and levels are those in the samples: where the sensor's crystal puts a transmission, how strongly its gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from spectrum.errors import BadInput
from testbed.twin.air import Transmission
from testbed.twin.ear import Ear

NAMESPACE: Final = {"name": "airshed", "version": "1.0.0", "optional": True}

# Noise is told over this bandwidth.
REFERENCE_HZ: Final = 125e3


@dataclass(frozen=True, slots=True)
class Heard:
    """One transmission in a recording: samples [first, end), between low_hz and high_hz, level over its bandwidth."""

    first: int
    end: int
    low_hz: float
    high_hz: float
    level_dbfs: float
    kind: str
    device: str


def annotation_of(ear: Ear, transmission: Transmission, samples: int) -> dict[str, Any] | None:
    """What a recording of `samples` samples holds of a transmission; None when that is nothing."""
    level_dbfs = ear.level_dbfs(transmission)
    first = max(0, ear.sample_at(transmission.start_s))
    end = min(samples, ear.sample_at(transmission.end_s))
    if level_dbfs == float("-inf") or end <= first:
        return None
    error = 1.0 + ear.sensor.impairments.ppm * 1e-6
    seen_hz = ear.sensor.center_hz + (transmission.center_hz - ear.real_center_hz) / error
    half_hz = transmission.bandwidth_hz / 2.0
    found = {
        "core:sample_start": first,
        "core:sample_count": end - first,
        "core:freq_lower_edge": seen_hz - half_hz,
        "core:freq_upper_edge": seen_hz + half_hz,
        "core:label": f"{transmission.kind} {transmission.source}",
        "core:generator": "airshed testbed",
        "airshed:kind": transmission.kind,
        "airshed:device": transmission.source,
        "airshed:transmission": transmission.transmission_id,
        "airshed:start_s": transmission.start_s,
        "airshed:airtime_s": transmission.end_s - transmission.start_s,
        "airshed:subchannel_hz": transmission.center_hz,
        "airshed:bandwidth_hz": transmission.bandwidth_hz,
        "airshed:level_dbfs": level_dbfs,
        "airshed:snr_db": ear.snr_db(transmission),
        "airshed:downlink": transmission.downlink,
        "airshed:payload": transmission.payload.hex(),
    }
    if transmission.airtime_s == float("inf"):
        del found["airshed:airtime_s"]  # JSON has no infinity; it goes on beyond the recording
    if transmission.kind == "lora":
        found["airshed:spreading_factor"] = transmission.spreading_factor
        found["airshed:coding_rate"] = transmission.coding_rate
    if transmission.kind == "sigfox":
        found["airshed:copy"] = transmission.copy
    return found


def heard_of(metadata: dict[str, Any], place: str, *, calibrated: bool) -> list[Heard]:
    """The transmissions that a recording's annotations tell of; BadInput when it is none of the twin's.

    calibrated: at the frequencies they were sent on, as who knows the sensor's ppm finds them; else where the samples
    have them.
    """
    if "airshed:noise_dbfs" not in metadata["global"]:
        raise BadInput(f"{place} holds no truth: expected a recording made by `airshed testbed record`")
    try:
        return [
            Heard(
                one["core:sample_start"],
                one["core:sample_start"] + one["core:sample_count"],
                *_edges_hz(one, calibrated),
                float(one["airshed:level_dbfs"]),
                str(one["airshed:kind"]),
                str(one["airshed:device"]),
            )
            for one in metadata.get("annotations", [])
            if "airshed:kind" in one
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{place}: an annotation is no longer as it was recorded ({error!r}): record it again") from None


def _edges_hz(one: dict[str, Any], calibrated: bool) -> tuple[float, float]:
    if not calibrated:
        return float(one["core:freq_lower_edge"]), float(one["core:freq_upper_edge"])
    center_hz, half_hz = float(one["airshed:subchannel_hz"]), float(one["airshed:bandwidth_hz"]) / 2.0
    return center_hz - half_hz, center_hz + half_hz
